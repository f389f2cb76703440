//! `recado tenant credentials`: reads a tenant's own Twilio account, checks it at Twilio, and stores it encrypted.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret, SecretString};

use super::{account, apply, show_changed};
use crate::app::Installation;
use crate::cli::{CliError, Outcome, find_tenant, open_existing};
use crate::tenants::credentials::{Checked, TOKEN_MAX_BYTES, account_sid, auth_token};
use crate::tenants::{AccountChange, Blueprints, SettingsError, Tenant, TenantChange};

/// Set a tenant's own Twilio account or its token; both are checked at Twilio and stored encrypted
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado tenant credentials clinica\n  \
    recado tenant credentials clinica --account-sid AC… --token-file token.txt\n  \
    recado tenant credentials clinica --secondary    the other token, while they are rotated\n\n\
    Not at a terminal, the SID (without --account-sid) and the token are read from standard input, a line each. \
    A token is never an argument: those show in the list of processes.")]
pub struct Args {
    /// Slug of the tenant
    slug: String,
    /// SID of the account; the command asks for it if it is omitted
    #[arg(long, value_name = "AC…", value_parser = account_sid)]
    account_sid: Option<String>,
    /// Read the auth token from this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Set the account's secondary token; webhooks that it signs are accepted, too
    #[arg(long, conflicts_with = "account_sid")]
    secondary: bool,
    /// Use the installation's account again; with --secondary, remove only the secondary token
    #[arg(long, conflicts_with_all = ["account_sid", "token_file", "no_check"])]
    remove: bool,
    /// Store them without a check at Twilio
    #[arg(long)]
    no_check: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.slug)?;
    let (account, said) = if args.remove {
        (if args.secondary { AccountChange::RemoveSecondary } else { AccountChange::Remove }, None)
    } else {
        let (account, checked) = read_account(&installation, &tenant, &args).await?;
        (account, Some(account::describe_check(&checked)))
    };
    let change = TenantChange { account: Some(account), ..TenantChange::default() };
    if !apply(&installation, &tenant, &change, &Blueprints::default()).await? {
        let what = if args.secondary { "secondary token" } else { "account of its own" };
        return Err(CliError::Refused(format!("'{}' has no {what}", args.slug)));
    }
    if let Some(said) = said {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(io::stderr(), "{said}");
    }
    show_changed(&installation, &args.slug, args.json)
}

/// Reads the account or its second token, from the options or from the user, and checks it at Twilio.
async fn read_account(
    installation: &Installation,
    tenant: &Tenant,
    args: &Args,
) -> Result<(AccountChange, Checked), CliError> {
    let sid = match &args.account_sid {
        _ if args.secondary && !tenant.owns_account => {
            return Err(SettingsError::NoAccountForSecondary(args.slug.clone()).into());
        }
        _ if args.secondary => tenant.account.sid.clone(),
        Some(sid) => sid.clone(),
        None => account_sid(prompt("Account SID", false).await?.expose_secret().trim()).map_err(CliError::Refused)?,
    };
    let token = match &args.token_file {
        Some(path) => read_file(path)?,
        None => auth_token(prompt("Auth Token", true).await?.expose_secret())?,
    };
    let checked = account::check_credentials(installation, &sid, &token, args.no_check).await?;
    let account = match args.secondary {
        true => AccountChange::SetSecondary { sid, token },
        false => AccountChange::Set { sid, token, keep_old: false },
    };
    Ok((account, checked))
}

fn read_file(path: &Path) -> Result<SecretString, CliError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(TOKEN_MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| CliError::Refused(format!("{} cannot be read: {error}", path.display())))?;
    Ok(auth_token(SecretString::from(text).expose_secret())?)
}

/// Asks for a line at the terminal, or reads the next line of standard input.
async fn prompt(what: &'static str, hidden: bool) -> Result<SecretString, CliError> {
    let at_terminal = io::stdin().is_terminal();
    let mut hiding = None;
    if at_terminal {
        // Before the question is printed: a quick answer is not to be shown either.
        hiding = hidden.then(HiddenInput::start).transpose()?;
        let aside = if hidden { " (it is not shown)" } else { "" };
        write!(io::stderr(), "{what}{aside}: ")?;
    }
    let line = tokio::task::spawn_blocking(next_line);
    let line = tokio::select! {
        line = line => line.unwrap_or_else(|error| Err(io::Error::other(error))),
        // Else the terminal would go on hiding what is typed.
        _ = tokio::signal::ctrl_c() => Err(io::ErrorKind::Interrupted.into()),
    };
    if hiding.take().is_some() {
        writeln!(io::stderr())?;
    }
    match line {
        Ok(line) if !line.expose_secret().trim().is_empty() => Ok(line),
        Ok(_) => Err(CliError::Usage(format!("{what}: nothing was given, and nothing was changed"))),
        Err(error) => Err(CliError::Refused(format!("{what} cannot be read, and nothing was changed: {error}"))),
    }
}

fn next_line() -> io::Result<SecretString> {
    let mut line = String::new();
    io::stdin().lock().take(TOKEN_MAX_BYTES).read_line(&mut line)?;
    Ok(line.into())
}

/// Hides the user's input at the terminal until it is dropped.
struct HiddenInput(Termios);

impl HiddenInput {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        // A terminal that has gone away shows nothing either.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
