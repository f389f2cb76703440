//! A phone number: one that can be bought, one that a tenant owns, one that was released.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Channel;
use crate::features::numbers::{Bought, Destination, OwnedNumber, Released};
use crate::integrations::twilio::client::AvailableNumber;

/// A number that can be bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Available)]
pub struct AvailableNumberView {
    /// E.164
    #[schema(example = "+34911990007")]
    pub number: String,
    pub locality: String,
    pub region: String,
    pub country: String,
    /// The address that a purchase needs: `none`, `any`, `local` or `foreign`
    pub address_requirements: String,
    pub voice: bool,
    pub sms: bool,
    pub mms: bool,
}

impl From<AvailableNumber> for AvailableNumberView {
    fn from(one: AvailableNumber) -> Self {
        Self {
            number: one.phone_number,
            locality: one.locality,
            region: one.region,
            country: one.iso_country,
            address_requirements: one.address_requirements,
            voice: one.capabilities.voice,
            sms: one.capabilities.sms,
            mms: one.capabilities.mms,
        }
    }
}

/// A number of a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OwnedNumber)]
pub struct OwnedNumberView {
    /// The number, E.164
    #[schema(example = "+34911990007")]
    pub number: String,
    pub friendly_name: String,
    /// Whether the provider's account has it; else no calls and messages come or go
    pub active: bool,
    /// Whether all its webhooks point here
    pub points_here: bool,
    pub voice: DestinationView,
    pub sms: DestinationView,
    /// Destination of call statuses
    pub status: DestinationView,
    /// Channels for which this tenant sends from it
    #[schema(value_type = Vec<String>, example = json!(["voice", "sms"]))]
    pub sends: Vec<Channel>,
    /// Voice agent that answers its calls
    pub agent: Option<String>,
    /// It is the installation's, shared by tenants without a number of their own
    pub shared: bool,
}

impl From<OwnedNumber> for OwnedNumberView {
    fn from(one: OwnedNumber) -> Self {
        let OwnedNumber { number, friendly_name, active, points_here, voice, sms, status, sends, agent, shared } = one;
        let (voice, sms, status) = (voice.into(), sms.into(), status.into());
        Self { number, friendly_name, active, points_here, voice, sms, status, sends, agent, shared }
    }
}

/// The destination of one kind of webhook of a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub struct DestinationView {
    /// True if it is this installation, for this tenant.
    pub here: bool,
    /// The URL, or what overrides it, such as a TwiML App. Empty where none is set.
    pub to: String,
}

impl From<Destination> for DestinationView {
    fn from(Destination { here, to }: Destination) -> Self {
        Self { here, to }
    }
}

/// A number that now belongs to the tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bought)]
pub struct BoughtView {
    /// `false` where the account already had it: nothing was paid
    pub bought: bool,
    #[serde(flatten)]
    pub number: OwnedNumberView,
}

impl From<Bought> for BoughtView {
    fn from(Bought { bought, number }: Bought) -> Self {
        Self { bought, number: number.into() }
    }
}

/// A number that was a tenant's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Released)]
pub struct ReleasedView {
    /// The number, E.164
    pub number: String,
    /// `false` if the provider's account no longer had it
    pub was_active: bool,
    /// Channels for which this tenant sent from it
    #[schema(value_type = Vec<String>)]
    pub sent: Vec<Channel>,
    /// Voice agent that still names it
    pub agent: Option<String>,
}

impl From<Released> for ReleasedView {
    fn from(Released { number, was_active, sent, agent }: Released) -> Self {
        Self { number, was_active, sent, agent }
    }
}
