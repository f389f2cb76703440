//! Running campaigns: their next tries, each within its hours, at most at the campaign's pace.
//!
//! A forecast does not know how calls end. So it neither foresees repeated tries, nor that calls in flight leave no capacity
//! for the next. Tries may come later than foreseen, never earlier.

use std::collections::BTreeMap;

use super::walk::{Item, Walk};
use super::{FORECAST_MAX, outlook::DueSend};
use crate::domain::Timestamp;
use crate::features::campaigns::Plan;
use crate::features::campaigns::tries::Tries;
use crate::store::tables::campaigns::{MEMBERS_MAX, Member};
use crate::store::{PlannedSend, StoreError};

/// Members looked at, at most. Beyond it the forecast is incomplete.
const LOOKS_MAX: usize = 1_000_000;

impl Walk<'_> {
    /// Reads running campaigns. This comes before planned sends are read: a member tried meanwhile comes once, by the identity
    /// of the action.
    pub async fn read_campaigns(&mut self) -> Result<(), StoreError> {
        let mut looks = LOOKS_MAX;
        let snapshot = self.snapshot.clone();
        let wanted = self.tenant;
        for campaign in self.inputs.store.running_campaigns().await? {
            let tenant = snapshot.by_id(campaign.tenant).filter(|one| wanted.is_none_or(|only| only == one.id));
            // A campaign that cannot be read does not go on.
            let Some((tenant, plan)) = tenant.zip(Plan::from_stored(&campaign).ok()) else { continue };
            let members = self.inputs.store.due_members(&campaign, self.until, MEMBERS_MAX as usize).await?;
            let platform = self.inputs.directory.platform();
            self.forecast_tries(&Tries { tenant, platform, campaign: &campaign, plan: &plan }, members, &mut looks)?;
        }
        Ok(())
    }

    /// Foresees tries as the campaign's rounds make them: the first member that is due and allowed gets the next slot, and a
    /// member that is not allowed waits.
    fn forecast_tries(&mut self, tries: &Tries<'_>, members: Vec<Member>, looks: &mut usize) -> Result<(), StoreError> {
        let mut waiting: BTreeMap<(Timestamp, String), Member> =
            members.into_iter().map(|member| ((member.due, member.key.clone()), member)).collect();
        let (mut slot, mut foreseen) = (tries.campaign.paced.max(self.now()), 0);
        while let Some(((due, key), member)) = waiting.pop_first() {
            let from = slot.max(due);
            // One more than fits shows that there are more.
            if from > self.until || foreseen > FORECAST_MAX {
                return Ok(());
            }
            if *looks == 0 {
                self.complete_until(from);
                return Ok(());
            }
            *looks -= 1;
            let hours = tries.hours(&member.phone, member.zone);
            match hours.next_allowed(from) {
                None => {}
                Some(at) if at > from => drop(waiting.insert((at, key), member)),
                Some(at) => {
                    (slot, foreseen) = (at.plus(tries.step()), foreseen + 1);
                    let action = tries.next_try(&member, at, hours.closes(at)).action;
                    if let Some(send) = PlannedSend::from_new(&action, at)
                        && self.planned.insert(action.id.uuid())
                    {
                        let why = format!("its turn, at most {} a minute", tries.plan.per_minute);
                        self.put(at, Item::Send(Box::new(DueSend::new(send, why))));
                    }
                }
            }
        }
        Ok(())
    }
}
