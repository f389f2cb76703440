//! Reads an audience: the tenant's customers that match when the campaign starts.

use super::{Audience, CampaignError, Plan, add_members, refuse_missing};
use crate::domain::contact::ContactFacts;
use crate::store::Store;
use crate::store::tables::campaigns::{Campaign, NewMember};
use crate::tenants::Tenant;

/// The customers that are read at once.
const PAGE: usize = 500;

/// Adds the customers that match the audience. If one of them lacks a value that the texts use, nobody is added.
pub async fn add_matching(
    store: &Store,
    tenant: &Tenant,
    campaign: &Campaign,
    audience: &Audience,
    plan: &Plan,
) -> Result<(), CampaignError> {
    for adds in [false, true] {
        let mut after = None;
        loop {
            let ids = store.customer_page(tenant.id, after, PAGE).await?;
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            let (known, _) = store.contact_facts(tenant.id, &ids, None).await?;
            let fitting =
                ids.iter().filter_map(|id| known.get(id)).filter(|one| matches(audience, &tenant.language, one));
            let members: Vec<NewMember> = fitting.filter_map(member).collect();
            if adds {
                add_members(store, campaign, &members).await?;
            } else {
                refuse_missing(plan, &members)?;
            }
        }
    }
    Ok(())
}

/// Makes a member of a customer. One who hides the number is none: a campaign goes to numbers.
fn member(customer: &ContactFacts) -> Option<NewMember> {
    let fields = customer.fields.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some(NewMember { phone: customer.phone.clone()?, name: customer.name.clone(), fields: fields.collect() })
}

fn matches(audience: &Audience, language: &str, customer: &ContactFacts) -> bool {
    let field = |name: &str| match customer.fields.get(name) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let own = field("language");
    let language = if own.is_empty() { language } else { &own };
    audience.tag.as_ref().is_none_or(|tag| customer.tags.contains(tag))
        && audience.fields.iter().all(|(name, wanted)| field(name) == *wanted)
        && audience.language.as_ref().is_none_or(|wanted| language.starts_with(wanted.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_of_an_audience_must_match() {
        let mut customer = ContactFacts::default();
        customer.tags.insert("member".to_owned());
        customer.fields.insert("city".to_owned(), "Jaén".into());
        customer.fields.insert("visits".to_owned(), 3.into());
        let asks = |tag: &str, fields: &[(&str, &str)]| Audience {
            tag: Some(tag.to_owned()).filter(|tag| !tag.is_empty()),
            fields: fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            language: None,
        };
        let matches = |audience: &Audience| super::matches(audience, "es", &customer);
        assert!(matches(&asks("member", &[("city", "Jaén"), ("visits", "3")])));
        assert!(!matches(&asks("member", &[("city", "Úbeda")])));
        assert!(!matches(&asks("staff", &[])));
        assert!(matches(&asks("", &[])));
        assert!(matches(&Audience { language: Some("es".to_owned()), ..Audience::default() }));
        assert!(!matches(&Audience { language: Some("en".to_owned()), ..Audience::default() }));
    }
}
