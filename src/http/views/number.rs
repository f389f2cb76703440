//! A phone number that can be bought. The numbers that a tenant owns are `features::numbers::OwnedNumber`.

use serde::Serialize;
use utoipa::ToSchema;

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
