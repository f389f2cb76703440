//! `recado agents`: voice agents, and how other calls are answered.

use super::text::one_line;
use super::{CliError, Outcome, TenantArg, find_tenant, for_tenant, open_existing, print, print_json};
use crate::app::Installation;
use crate::config::Config;
use crate::domain::agent::{GREETING_CHARS, INSTRUCTIONS_CHARS};
use crate::domain::{AgentMode, Country, Phone, VoiceAgent, VoiceSettings};
use crate::features::voice::Streams;
use crate::features::voice::agents;
use crate::features::voice::agents::{AgentError, Agents};
use crate::http::views::agent::{AgentView, VoiceView};

/// List, add and remove voice agents, and set how other calls are answered
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
    /// List voice agents, and how other calls are answered
    List(ListArgs),
    /// Remove a voice agent
    Remove(RemoveArgs),
    Default(Box<DefaultArgs>),
}

/// Add a voice agent, or change one; omitted options stay as they are
#[derive(clap::Args)]
#[command(after_help = "Example: recado agents add Lucia --number +34911111111 --mode model")]
pub struct AddArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the agent; rules connect callers by it
    name: String,
    /// Tenant number whose calls the agent answers; '' for none
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Greeting; {name} is replaced by the business's name
    #[arg(long, value_name = "TEXT")]
    greeting: Option<String>,
    /// Language, such as es-ES; '' for the business's language
    #[arg(long, value_name = "BCP47")]
    language: Option<String>,
    /// Provider's name of the voice, such as Polly.Lucia; '' for the default
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Source of answers: script (rules), model (rules first, then a conversation model), stream (a live
    /// conversation)
    #[arg(long)]
    mode: Option<AgentMode>,
    /// Task instructions for a conversation model
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// Provider's conversation id for the stream; '' for the installation's
    #[arg(long, value_name = "ID")]
    stream_agent: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct ListArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub struct RemoveArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the agent
    name: String,
}

/// Set how calls without a rule and an agent are answered, and what all agents share
#[derive(clap::Args)]
#[command(after_help = "Example: recado agents default --person +34600999888 --language es-ES")]
pub struct DefaultArgs {
    #[command(flatten)]
    of: TenantArg,
    /// Greeting; {name} is replaced by the business's name; '' for the built-in text
    #[arg(long, value_name = "TEXT")]
    greeting: Option<String>,
    /// Text for when no answer is found in time; '' for the built-in text
    #[arg(long, value_name = "TEXT")]
    fallback: Option<String>,
    /// Language, such as es-ES; '' for the business's language
    #[arg(long, value_name = "BCP47")]
    language: Option<String>,
    /// Provider's name of the voice; '' for the default
    #[arg(long, value_name = "NAME")]
    voice: Option<String>,
    /// Number to dial when a caller asks for a person; '' for none
    #[arg(long, value_name = "NUMBER")]
    person: Option<String>,
    /// Count a call as missed when the caller hangs up before saying or pressing anything
    #[arg(long, value_name = "true|false")]
    silence_is_missed: Option<bool>,
    /// Do not call customers who texted STOP; by default they may be called
    #[arg(long, value_name = "true|false")]
    stop_ends_calls: Option<bool>,
    /// Instructions about the business for every conversation model; '' for none
    #[arg(long, value_name = "TEXT")]
    instructions: Option<String>,
    /// Print JSON
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
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let mut agent = tenant.settings.voice.agent(&args.name).cloned().unwrap_or_default();
    agent.name = args.name;
    if let Some(number) = &args.number {
        agent.number = number_of(number, tenant.home())?;
    }
    agent.greeting = args.greeting.unwrap_or(agent.greeting);
    agent.instructions = args.instructions.unwrap_or(agent.instructions);
    set(&mut agent.language, args.language.as_deref())?;
    set(&mut agent.voice, args.voice.as_deref())?;
    set(&mut agent.stream_agent, args.stream_agent.as_deref())?;
    agent.mode = args.mode.unwrap_or(agent.mode);
    agents(&installation).put(&tenant, agent.clone()).await?;
    if args.json {
        print_json(&AgentView::new(agent.clone(), missing_settings(&installation, &agent)))?
    } else {
        print_agent(&installation, &agent)?
    }
    Ok(Outcome::Done)
}

fn agents(installation: &Installation) -> Agents<'_> {
    Agents { store: &installation.store, directory: &installation.directory }
}

fn missing_settings(installation: &Installation, agent: &VoiceAgent) -> Option<String> {
    let Config { chat, eleven, .. } = &installation.config;
    agents::missing_settings(
        agent,
        chat.key.is_some(),
        Streams::from_config(eleven.key.is_some(), eleven.agent.is_some()),
    )
}

async fn list(args: ListArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let voice = &tenant.settings.voice;
    if args.json {
        print_json(&VoiceView::new(voice.clone(), |agent| missing_settings(&installation, agent)))?;
        return Ok(Outcome::Done);
    }
    show(&installation, &tenant.slug, voice)?;
    Ok(Outcome::Done)
}

fn show(installation: &Installation, slug: &str, voice: &VoiceSettings) -> Result<(), CliError> {
    voice.agents.iter().try_for_each(|agent| print_agent(installation, agent))?;
    if voice.agents.is_empty() {
        print(format!("'{slug}' has no voice agents; add one with 'recado agents add NAME{}'", for_tenant(slug)))?;
    }
    let or_default =
        |text: &str| if text.is_empty() { "the built-in words".to_owned() } else { format!("\"{}\"", one_line(text)) };
    print(format!("all other calls: {}", or_default(&voice.greeting)))?;
    print(format!("no answer in time: {}", or_default(&voice.fallback)))?;
    let person = voice.person.as_ref().map_or_else(|| "nobody".to_owned(), Phone::to_string);
    print(one_line(&format!("a person: {person}")))
}

async fn remove(args: RemoveArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    agents(&installation).remove(&tenant, &args.name).await?;
    Ok(Outcome::Done)
}

async fn default(args: DefaultArgs) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let person = args.person.as_deref().map(|text| number_of(text, tenant.home())).transpose()?;
    let mut before = VoiceSettings::default();
    let voice = agents(&installation)
        .change(&tenant, |voice| {
            before = voice.clone();
            args.apply_to(voice)?;
            if let Some(person) = person {
                voice.person = person;
            }
            Ok(voice.clone())
        })
        .await?;
    if voice == before {
        return Err(CliError::Usage("nothing would change: 'recado agents default --help' lists what can".to_owned()));
    }
    if args.json {
        print_json(&VoiceView::new(voice, |agent| missing_settings(&installation, agent)))?
    } else {
        show(&installation, &tenant.slug, &voice)?
    }
    Ok(Outcome::Done)
}

impl DefaultArgs {
    /// Changes what the options name; everything else stays.
    fn apply_to(&self, voice: &mut VoiceSettings) -> Result<(), AgentError> {
        for (what, current, new, most) in [
            ("a greeting", &mut voice.greeting, &self.greeting, GREETING_CHARS),
            ("these words", &mut voice.fallback, &self.fallback, GREETING_CHARS),
            ("instructions", &mut voice.instructions, &self.instructions, INSTRUCTIONS_CHARS),
        ] {
            let Some(new) = new else { continue };
            agents::check_length(what, new, most)?;
            current.clone_from(new);
        }
        set(&mut voice.language, self.language.as_deref())?;
        set(&mut voice.voice, self.voice.as_deref())?;
        voice.silence_is_missed = self.silence_is_missed.unwrap_or(voice.silence_is_missed);
        voice.stop_ends_calls = self.stop_ends_calls.unwrap_or(voice.stop_ends_calls);
        Ok(())
    }
}

fn print_agent(installation: &Installation, agent: &VoiceAgent) -> Result<(), CliError> {
    print(line(agent))?;
    missing_settings(installation, agent)
        .map_or(Ok(()), |missing_settings| print(one_line(&format!("  {missing_settings}"))))
}

fn line(agent: &VoiceAgent) -> String {
    let number =
        agent.number.as_ref().map_or_else(|| "where rules connect to it".to_owned(), |n| format!("calls of {n}"));
    let language = agent.language.as_deref().map(|language| format!(", {language}")).unwrap_or_default();
    let voice = agent.voice.as_deref().map(|voice| format!(", {voice}")).unwrap_or_default();
    one_line(&format!("{}: {number}, {}{language}{voice}", agent.name, agent.mode))
}

fn number_of(text: &str, home: Option<Country>) -> Result<Option<Phone>, CliError> {
    if text.is_empty() { Ok(None) } else { Ok(Some(Phone::parse_human(text, home)?)) }
}

fn set(current: &mut Option<String>, new: Option<&str>) -> Result<(), AgentError> {
    if let Some(new) = new {
        *current = agents::optional_text(new)?;
    }
    Ok(())
}
