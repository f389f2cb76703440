//! Concurrent changes by `recado tenant` do not overwrite each other.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{command, run};
use crate::support::postgres::Database;
use crate::support::terminal::Terminal;

const SID: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const WITHIN: Duration = Duration::from_secs(30);
/// Commands that change one tenant at once.
const AT_ONCE: usize = 8;

/// A folder with a tenant, `sol`.
fn folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    run(&mut command(folder.path(), &["migrate"])).ok();
    run(&mut command(folder.path(), &["tenant", "add", "sol"])).ok();
    folder
}

fn shown(mut command: Command) -> Value {
    run(&mut command).json()
}

/// Each of many commands at once sets a template of its own: all of them are there afterwards.
fn all_templates_are_kept(folder: &TempDir, url: Option<&str>) {
    let recado = |args: &[&str]| {
        let mut command = command(folder.path(), args);
        command.envs(url.map(|url| ("DATABASE_URL", url)));
        command
    };
    run(&mut recado(&["migrate"])).ok();
    run(&mut recado(&["tenant", "add", "luna"])).ok();
    let templates: Vec<String> = (0..AT_ONCE).map(|n| format!("offer_{n}=HX{n:032x}")).collect();
    let set = |template: &String| {
        let mut command = recado(&["tenant", "set", "luna", "--template", template]);
        command.stdout(Stdio::null()).spawn().expect("the binary can be started")
    };
    let running: Vec<_> = templates.iter().map(set).collect();
    for mut one in running {
        assert!(one.wait().expect("it ends").success());
    }
    let shown = shown(recado(&["tenant", "show", "luna", "--json"]));
    let templates = shown["templates"].as_object().expect("an object");
    assert_eq!(templates.len(), AT_ONCE, "{templates:?}");
}

#[test]
fn settings_changed_at_once_are_all_kept() {
    all_templates_are_kept(&folder(), None);
}

#[tokio::test]
async fn on_postgresql_settings_changed_at_once_are_all_kept() {
    let database = Database::fresh().await;
    let url = database.url();
    let folder = folder();
    tokio::task::spawn_blocking(move || all_templates_are_kept(&folder, Some(&url))).await.expect("it holds");
}

#[tokio::test]
async fn what_changes_while_a_token_is_asked_for_is_kept() {
    let folder = folder();
    let args = ["tenant", "credentials", "sol", "--account-sid", SID, "--no-check"];
    let mut terminal = Terminal::start(folder.path(), &args, 200, 50);
    tokio::time::timeout(WITHIN, terminal.shows("Auth Token")).await.expect("it asks for the token");
    run(&mut command(folder.path(), &["tenant", "set", "sol", "--name", "Clínica Sol", "--retain-days", "30"])).ok();
    terminal.press(&format!("{TOKEN}\r"));
    assert_eq!(terminal.ended().await, 0, "{}", terminal.text());
    let sol = shown(command(folder.path(), &["tenant", "show", "sol", "--json"]));
    assert_eq!((&sol["account_sid"], &sol["name"]), (&json!(SID), &json!("Clínica Sol")));
    assert_eq!(sol["retain_days"], 30);
}

#[test]
fn a_parameter_of_a_blueprint_leaves_the_others_alone() {
    let folder = folder();
    let blueprint = "rule(\"hours\").on(\"inbound_sms\").blueprint()\n    .param(\"from\", \"09:00\").param(\"to\", \"17:00\")\n    \
                     .then(|e| reply(`${e.params.from} ${e.params.to}`));\n";
    std::fs::create_dir_all(folder.path().join("rules")).expect("the folder is ours");
    std::fs::write(folder.path().join("rules/hours.rhai"), blueprint).expect("the folder is ours");
    let set = |more: &[&str]| {
        let args = [&["tenant", "set", "sol", "--enable", "hours"], more, &["--json"]].concat();
        shown(command(folder.path(), &args))["blueprints"]["hours"].clone()
    };
    assert_eq!(set(&["--param", "from=10:00"]), json!({"from": "10:00"}));
    assert_eq!(set(&["--param", "to=20:00"]), json!({"from": "10:00", "to": "20:00"}));
    // Only a change is shown; enabling it again is none.
    run(&mut command(folder.path(), &["tenant", "set", "sol", "--enable", "hours"]))
        .fails(2, &["nothing would change"]);
    assert_eq!(set(&["--param", "to=21:00"]), json!({"from": "10:00", "to": "21:00"}));
}
