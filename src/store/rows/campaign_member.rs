//! A member of a campaign.

use std::collections::BTreeMap;

use sea_orm::Value;
use uuid::Uuid;

use super::table::Holds::{Big, Document, Form, Int, MaybeId, MaybeText, Of, Text};
use super::table::{Table, column, is};
use crate::domain::{CampaignId, MemberState, Phone, TenantId, Timestamp};

pub(in crate::store) const TABLE: Table = Table {
    kind: "campaign_member",
    name: "campaign_members",
    order: &["campaign_id", "peer_key"],
    columns: &[
        column("campaign_id", Of("campaigns")),
        column("peer_key", Text),
        column("phone", Form(|phone| Phone::parse(phone).is_ok())),
        column("name", Text),
        column("fields", Document(is::<BTreeMap<String, String>>)),
        column("state", Form(|state| state.parse::<MemberState>().is_ok())),
        column("n", Int),
        column("tries", Int),
        column("due_us", Big),
        column("action_id", MaybeId),
        column("outcome", MaybeText),
        column("detail", MaybeText),
    ],
};

/// The values of a new member, in the order of [`Table::insert`]: without a try yet, due at once. `fields` is JSON.
pub(in crate::store) fn new_row(
    tenant: TenantId,
    campaign: CampaignId,
    phone: &Phone,
    name: &str,
    fields: String,
    due: Timestamp,
) -> [Value; TABLE.width()] {
    let (n, tries) = (0i32, 0i32);
    let (action_id, outcome, detail): (Option<Uuid>, Option<String>, Option<String>) = (None, None, None);
    [
        tenant.uuid().into(),
        campaign.uuid().into(),
        phone.key().into(),
        phone.as_str().into(),
        name.into(),
        fields.into(),
        MemberState::Waiting.as_str().into(),
        n.into(),
        tries.into(),
        due.unix_us().into(),
        action_id.into(),
        outcome.into(),
        detail.into(),
    ]
}
