//! `recado health`: asks the server of this machine whether it answers, for health checks of containers.

use std::time::Duration;

use super::{CliError, Outcome, configure, local_url, print};
use crate::integrations::http;

/// The longest wait for the answer.
const WITHIN: Duration = Duration::from_secs(3);

/// Ask the server at LISTEN whether it answers; exit code 1 if it does not
#[derive(clap::Args)]
#[command(after_help = "Example: recado health\n\nWhether the database answers too: GET /ready.")]
pub struct Args {}

pub async fn run(Args {}: Args) -> Result<Outcome, CliError> {
    let url = format!("{}/health", local_url(configure()?.listen));
    // The server is on this machine, whatever proxy the environment names.
    let client = http::builder().no_proxy().timeout(WITHIN).build().map_err(http::ClientError::from)?;
    let answer = client.get(&url).send().await;
    match answer.and_then(reqwest::Response::error_for_status) {
        Ok(_) => print("ok")?,
        Err(error) => return Err(CliError::Refused(format!("{url} does not answer: {}", http::describe(error)))),
    }
    Ok(Outcome::Done)
}
