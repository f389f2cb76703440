//! Command-line flags that are named after channels, one for each that receives messages.

use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches};

use crate::domain::Channel;
use crate::domain::channel::SenderKind;
use crate::tenants::fields::sender_of;

/// The group of the flags of [`ChannelFlag`], for `conflicts_with`.
pub const CHANNEL: &str = "channel";

/// The channel of one message: `--whatsapp`; SMS without a flag.
#[derive(Clone, Copy, Debug)]
pub struct ChannelFlag(pub Channel);

fn other_than_sms() -> impl Iterator<Item = Channel> {
    Channel::INBOUND.into_iter().filter(|channel| *channel != Channel::Sms)
}

impl clap::Args for ChannelFlag {
    fn augment_args(command: Command) -> Command {
        other_than_sms().fold(command, |command, channel| {
            let name = channel.as_str();
            let help = format!("Use {} instead of SMS", channel.spec().label);
            command.arg(Arg::new(name).long(name).help(help).action(ArgAction::SetTrue).group(CHANNEL))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ChannelFlag {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let named = other_than_sms().find(|channel| matches.get_flag(channel.as_str()));
        Ok(Self(named.unwrap_or(Channel::Sms)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Senders by channel: `--sms +34600111000 --whatsapp +34600111000`, each repeatable.
#[derive(Clone, Debug, Default)]
pub struct SenderFlags(pub Vec<(Channel, String)>);

impl clap::Args for SenderFlags {
    fn augment_args(command: Command) -> Command {
        Channel::INBOUND.into_iter().fold(command, |command, channel| {
            let name = channel.as_str();
            let help = format!("Give it {} for {}; repeatable", kind(channel), channel.spec().label);
            let parser = move |text: &str| sender_of(channel, text);
            let arg = Arg::new(name).long(name).value_name("SENDER").help(help).action(ArgAction::Append);
            command.arg(arg.value_parser(parser))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SenderFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |channel: Channel| {
            let senders = matches.get_many::<String>(channel.as_str()).into_iter().flatten();
            senders.map(move |sender| (channel, sender.clone()))
        };
        Ok(Self(Channel::INBOUND.into_iter().flat_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

const fn kind(channel: Channel) -> &'static str {
    match channel.spec().senders {
        SenderKind::Number => "a number (E.164) or a Messaging Service (MG…)",
        SenderKind::Name => "a sender's id or a Messaging Service (MG…)",
    }
}
