//! `recado agents`: who takes calls, and how.

use super::tenant::row;
use super::{CliError, OfTenant, Outcome, find_tenant, for_tenant, open, print, print_json};
use crate::app::Installation;
use crate::directory::Tenant;
use crate::domain::agent::{AGENTS_MAX, GREETING_CHARS, INSTRUCTIONS_CHARS};
use crate::domain::{AgentMode, Phone, VoiceAgent, VoiceSettings};

/// Add, list and remove voice agents, and say how calls are answered that no agent takes
#[derive(clap::Args)]
#[command(after_help = "Example: recado agents add Lucia --number +34911111111 --language es-ES --voice Polly.Lucia \
                  --greeting 'Clínica Sol, buenos días. ¿En qué puedo ayudarle?'")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(Box<AddArgs>),
    /// List the agents, and how all other calls are answered
    List(ListArgs),
    /// An agent takes no calls any more
    Remove(RemoveArgs),
    Default(Box<DefaultArgs>),
}

/// Add an agent, or change what is known of one; what is not named stays
#[derive(clap::Args)]
#[command(after_help = "Example: recado agents add Lucia --number +34911111111 --mode model")]
pub struct AddArgs {
    #[command(flatten)]
    of: OfTenant,
    /// Its name, by which rules connect callers to it
    name: String,
    /// The number of yours whose calls it takes; '' for none
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// What it says first; {name} is the business's name
    #[arg(long, value_name = "TEXT")]
    greeting: Option<String>,
    /// What it speaks, such as es-ES; '' for the business's language
    #[arg(long, value_name = "BCP47")]
    language: Option<String>,
    /// The provider's name of a voice, such as Polly.Lucia; '' for the default
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// How it finds its answers: script (rules), model (a conversation model; rules come first), stream (a live conversation)
    #[arg(long)]
    mode: Option<AgentMode>,
    /// What a conversation model is told of its task
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// Which conversation of the stream's provider it is; '' for the installation's
    #[arg(long, value_name = "ID")]
    stream_agent: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    of: OfTenant,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    of: OfTenant,
    /// Its name
    name: String,
}

/// How calls are answered that no rule and no agent takes, and what all agents share
#[derive(clap::Args)]
#[command(after_help = "Example: recado agents default --person +34600999888 --language es-ES")]
pub struct DefaultArgs {
    #[command(flatten)]
    of: OfTenant,
    /// What is said first; {name} is the business's name; '' for the built-in words
    #[arg(long, value_name = "TEXT")]
    greeting: Option<String>,
    /// What is said where no answer is found in time; '' for the built-in words
    #[arg(long, value_name = "TEXT")]
    fallback: Option<String>,
    /// What is spoken, such as es-ES; '' for the business's language
    #[arg(long, value_name = "BCP47")]
    language: Option<String>,
    /// The provider's name of a voice; '' for the default
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Who is rung where a caller wants a person; '' for nobody
    #[arg(long, value_name = "NUMBER")]
    person: Option<String>,
    /// Whether a call counts as missed where the caller hangs up before a word or a key
    #[arg(long, value_name = "true|false")]
    silence_is_missed: Option<bool>,
    /// Whether whoever writes STOP is not called either; they may be, unless this says so
    #[arg(long, value_name = "true|false")]
    stop_ends_calls: Option<bool>,
    /// What every conversation model is told of this business; '' for nothing
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::Add(args) => add(*args).await,
        Command::List(args) => list(args).await,
        Command::Remove(args) => remove(args).await,
        Command::Default(args) => default(*args).await,
    }
}

async fn add(args: AddArgs) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let mut voice = tenant.settings.voice.clone();
    let known = voice.agents.iter().position(|agent| agent.name == args.name);
    let mut agent = known.map_or_else(VoiceAgent::default, |at| voice.agents[at].clone());
    agent.name = named(&args.name)?;
    if let Some(number) = &args.number {
        agent.number = number_of(number)?;
    }
    set(&mut agent.greeting, "a greeting", args.greeting, GREETING_CHARS)?;
    set(&mut agent.instructions, "instructions", args.instructions, INSTRUCTIONS_CHARS)?;
    set_or_none(&mut agent.language, args.language)?;
    set_or_none(&mut agent.voice, args.voice)?;
    set_or_none(&mut agent.stream_agent, args.stream_agent)?;
    agent.mode = args.mode.unwrap_or(agent.mode);
    let same = |other: &&VoiceAgent| other.number.is_some() && other.number == agent.number && other.name != agent.name;
    if let Some(other) = voice.agents.iter().find(same) {
        return Err(CliError::Refused(format!("the agent '{}' takes the calls of that number already", other.name)));
    }
    if let (Some(number), false) = (&agent.number, is_ours(&installation, &tenant, agent.number.as_ref())) {
        return Err(CliError::Refused(format!(
            "'{}' does not send from {number}, so nobody rings it there: add it with 'recado tenant set {} --sms {number}'",
            tenant.slug, tenant.slug
        )));
    }
    match known {
        Some(at) => voice.agents[at] = agent.clone(),
        None if voice.agents.len() >= AGENTS_MAX => {
            return Err(CliError::Refused(format!("a business may have {AGENTS_MAX} voice agents: remove one first")));
        }
        None => voice.agents.push(agent.clone()),
    }
    save(&installation, &tenant, voice).await?;
    if args.json {
        print_json(&agent)?
    } else {
        print(line(&agent))?
    }
    Ok(Outcome::Done)
}

async fn list(args: ListArgs) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let voice = &tenant.settings.voice;
    if args.json {
        print_json(voice)?;
        return Ok(Outcome::Done);
    }
    show(&tenant.slug, voice)?;
    Ok(Outcome::Done)
}

fn show(slug: &str, voice: &VoiceSettings) -> Result<(), CliError> {
    for agent in &voice.agents {
        print(line(agent))?;
    }
    if voice.agents.is_empty() {
        print(format!("'{slug}' has no voice agents; add one with 'recado agents add NAME{}'", for_tenant(slug)))?;
    }
    let or_default = |text: &str| if text.is_empty() { "the built-in words".to_owned() } else { format!("\"{text}\"") };
    print(format!("all other calls: {}", or_default(&voice.greeting)))?;
    print(format!("no answer in time: {}", or_default(&voice.fallback)))?;
    let person = voice.person.as_ref().map_or_else(|| "nobody".to_owned(), Phone::to_string);
    print(format!("a person: {person}"))
}

async fn remove(args: RemoveArgs) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let mut voice = tenant.settings.voice.clone();
    let before = voice.agents.len();
    voice.agents.retain(|agent| agent.name != args.name);
    if voice.agents.len() == before {
        let names: Vec<&str> = voice.agents.iter().map(|agent| agent.name.as_str()).collect();
        return Err(CliError::Refused(format!("there is no agent '{}'; there are: {}", args.name, names.join(", "))));
    }
    save(&installation, &tenant, voice).await?;
    Ok(Outcome::Done)
}

async fn default(args: DefaultArgs) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let mut voice = tenant.settings.voice.clone();
    set(&mut voice.greeting, "a greeting", args.greeting, GREETING_CHARS)?;
    set(&mut voice.fallback, "these words", args.fallback, GREETING_CHARS)?;
    set(&mut voice.instructions, "instructions", args.instructions, INSTRUCTIONS_CHARS)?;
    set_or_none(&mut voice.language, args.language)?;
    set_or_none(&mut voice.voice, args.voice)?;
    if let Some(person) = &args.person {
        voice.person = number_of(person)?;
    }
    voice.silence_is_missed = args.silence_is_missed.unwrap_or(voice.silence_is_missed);
    voice.stop_ends_calls = args.stop_ends_calls.unwrap_or(voice.stop_ends_calls);
    if voice == tenant.settings.voice {
        return Err(CliError::Usage("nothing would change: 'recado agents default --help' lists what can".to_owned()));
    }
    save(&installation, &tenant, voice.clone()).await?;
    if args.json {
        print_json(&voice)?
    } else {
        show(&tenant.slug, &voice)?
    }
    Ok(Outcome::Done)
}

async fn save(installation: &Installation, tenant: &Tenant, voice: VoiceSettings) -> Result<(), CliError> {
    let mut row = row(installation, tenant).await?;
    let mut settings = tenant.settings.clone();
    settings.voice = voice;
    row.settings = serde_json::to_string(&settings).map_err(std::io::Error::other)?;
    installation.store.set_tenant(row).await?;
    Ok(())
}

fn line(agent: &VoiceAgent) -> String {
    let number =
        agent.number.as_ref().map_or_else(|| "where rules connect to it".to_owned(), |n| format!("calls of {n}"));
    let language = agent.language.as_deref().map(|language| format!(", {language}")).unwrap_or_default();
    let voice = agent.voice.as_deref().map(|voice| format!(", {voice}")).unwrap_or_default();
    format!("{}: {number}, {}{language}{voice}", agent.name, agent.mode)
}

fn named(name: &str) -> Result<String, CliError> {
    let fits = !name.trim().is_empty() && name.trim() == name && name.chars().count() <= 80;
    if fits && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(CliError::Refused("an agent's name has 1 to 80 characters, with no blanks around it".to_owned()))
    }
}

fn number_of(text: &str) -> Result<Option<Phone>, CliError> {
    if text.is_empty() { Ok(None) } else { Ok(Some(Phone::parse_human(text)?)) }
}

fn set(kept: &mut String, what: &str, new: Option<String>, most: usize) -> Result<(), CliError> {
    let Some(new) = new else { return Ok(()) };
    if new.chars().count() > most {
        return Err(CliError::Refused(format!("{what} may have {most} characters")));
    }
    *kept = new;
    Ok(())
}

fn set_or_none(kept: &mut Option<String>, new: Option<String>) -> Result<(), CliError> {
    let Some(new) = new else { return Ok(()) };
    let odd = |c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c);
    if new.len() > 80 || new.contains(odd) {
        return Err(CliError::Refused(format!("'{new}' does not do: use letters, digits, - _ . and :, at most 80")));
    }
    *kept = Some(new).filter(|new| !new.is_empty());
    Ok(())
}

/// Whether the tenant's calls can come in at a number: its own senders, or the installation's.
fn is_ours(installation: &Installation, tenant: &Tenant, number: Option<&Phone>) -> bool {
    let Some(number) = number.map(Phone::key) else { return true };
    let platform = installation.directory.platform();
    let own = tenant.senders.iter().filter_map(|sender| Phone::parse(&sender.number).ok());
    own.chain(platform.from_number.clone()).chain(platform.whatsapp_number.clone()).any(|one| one.key() == number)
}
