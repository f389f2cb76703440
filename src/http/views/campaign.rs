//! A campaign and its members.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::features::campaigns::ImportedMembers;
use crate::features::campaigns::sheet::RefusedLine;
use crate::store::tables::campaigns::{Campaign, ListedMember};
use crate::store::{Store, StoreError};

/// The most refused lines that are shown.
const REFUSED_SHOWN: usize = 1_000;

/// A campaign of a list. The campaign itself has its statistics.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedCampaign)]
pub struct ListedCampaignView {
    pub id: Uuid,
    pub name: String,
    #[schema(example = "running")]
    pub state: String,
    /// The action, the audience, the windows and the retries
    #[schema(value_type = Object)]
    pub plan: Value,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: String,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: String,
}

impl From<Campaign> for ListedCampaignView {
    fn from(campaign: Campaign) -> Self {
        Self {
            id: campaign.id.uuid(),
            name: campaign.name,
            state: campaign.state.to_string(),
            plan: serde_json::from_str(&campaign.plan).unwrap_or_default(),
            created_at: campaign.created.to_string(),
            changed_at: campaign.changed.to_string(),
        }
    }
}

/// A campaign with its statistics. Each member and each call counts once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Campaign)]
pub struct CampaignView {
    pub id: Uuid,
    pub name: String,
    #[schema(example = "running")]
    pub state: String,
    /// The action, the audience, the windows and the retries
    #[schema(value_type = Object)]
    pub plan: Value,
    pub members: i64,
    pub waiting: i64,
    pub trying: i64,
    pub done: i64,
    /// Tries that count
    pub tries: i64,
    /// Members that are done, by outcome
    pub outcomes: BTreeMap<String, i64>,
    /// Calls by their status
    pub calls: BTreeMap<String, i64>,
    /// Seconds of all calls
    pub talked_s: i64,
    /// Messages by their delivery status
    pub messages: BTreeMap<String, i64>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: String,
    #[schema(value_type = String, format = DateTime)]
    pub changed_at: String,
}

impl CampaignView {
    /// Reads the statistics of a campaign.
    pub async fn load(store: &Store, campaign: &Campaign) -> Result<Self, StoreError> {
        let counted = store.campaign_statistics(campaign).await?;
        Ok(Self {
            id: campaign.id.uuid(),
            name: campaign.name.clone(),
            state: campaign.state.to_string(),
            plan: serde_json::from_str(&campaign.plan).unwrap_or_default(),
            members: counted.members,
            waiting: counted.waiting,
            trying: counted.trying,
            done: counted.done,
            tries: counted.tries,
            outcomes: counted.outcomes,
            calls: counted.calls,
            talked_s: counted.talked_s,
            messages: counted.messages,
            created_at: campaign.created.to_string(),
            changed_at: campaign.changed.to_string(),
        })
    }
}

/// A campaign with its first members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WholeCampaign)]
pub struct CampaignDetailsView {
    #[serde(flatten)]
    pub campaign: CampaignView,
    pub first_members: Vec<CampaignMemberView>,
}

/// A member of a campaign.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CampaignMember)]
pub struct CampaignMemberView {
    pub phone: String,
    pub name: String,
    #[schema(example = "waiting")]
    pub state: String,
    pub tries: i32,
    /// The earliest time of the next try
    #[schema(value_type = String, format = DateTime)]
    pub due_at: String,
    /// The outcome of the last try
    pub outcome: Option<String>,
    pub detail: Option<String>,
    /// The answer that the script has kept
    pub answer: Option<String>,
    /// The send of the last try: a call or a message
    pub action: Option<Uuid>,
}

impl From<ListedMember> for CampaignMemberView {
    fn from(one: ListedMember) -> Self {
        Self {
            phone: one.phone,
            name: one.name,
            state: one.state,
            tries: one.tries,
            due_at: one.due_at.to_string(),
            outcome: one.outcome,
            detail: one.detail,
            answer: one.answer,
            action: one.action.map(|action| action.uuid()),
        }
    }
}

/// The result of an import of members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Imported)]
pub struct ImportedMembersView {
    /// Number of new members
    pub new: u64,
    /// Number of existing members
    pub known: u64,
    /// Number of refused lines
    pub refused: usize,
    /// The first 1,000 refused lines
    pub refused_lines: Vec<RefusedLineView>,
}

/// A line of a table that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusedLine)]
pub struct RefusedLineView {
    #[schema(example = 3)]
    pub line: u64,
    pub reason: String,
}

impl From<ImportedMembers> for ImportedMembersView {
    fn from(ImportedMembers { new, known, refused }: ImportedMembers) -> Self {
        let count = refused.len();
        let lines = refused.into_iter().take(REFUSED_SHOWN);
        let refused_lines = lines.map(|RefusedLine { line, reason }| RefusedLineView { line, reason }).collect();
        Self { new, known, refused: count, refused_lines }
    }
}
