//! What is shipped in `examples/deploy/`: every path, flag and variable named there exists, and nothing runs as root.

use std::collections::BTreeMap;
use std::process::Command;

use super::{beside, command, options, run};
use crate::support::left_out::left_out;
use crate::support::server::Server;
use crate::support::source::top;

const BINARY: &str = "/usr/local/bin/recado";
/// systemd's own measure: 0 is the least exposed, 10 the most.
const EXPOSURE_MAX_TENTHS: &str = "20";

fn shipped(name: &str) -> String {
    std::fs::read_to_string(top().join("examples/deploy").join(name)).expect("it is shipped")
}

/// The settings of the unit's sections, in order; comments and section names left out.
fn settings(unit: &str) -> Vec<(String, String)> {
    let lines = unit.lines().filter(|line| !line.starts_with('#') && !line.starts_with('['));
    lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Asserts that a command line of the binary is one that it understands.
fn assert_command(words: &[&str]) {
    let Some((program, args)) = words.split_first() else { panic!("an empty command") };
    assert!([BINARY, "recado"].contains(program), "{words:?}");
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    run(&mut command(folder.path(), &[args, &["--help"]].concat())).ok();
}

/// Asserts that the program knows these environment variables, with these values.
fn assert_variables(variables: &BTreeMap<String, String>) {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let mut config = command(folder.path(), &["config"]);
    let shown = run(config.envs(variables)).ok();
    for name in variables.keys() {
        let known = shown.to_uppercase().lines().any(|line| line.trim_start().starts_with(&name.to_uppercase()));
        assert!(known, "{name} is no key of the configuration: {shown}");
    }
}

/// Words in quotes are one.
fn json_words(text: &str) -> Vec<String> {
    serde_json::from_str(text.trim()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_systemd_unit_names_what_exists_and_has_no_privilege() {
    let unit = shipped("recado.service");
    let settings = settings(&unit);
    let value = |name: &str| {
        let found = settings.iter().find(|(known, _)| known == name);
        found.unwrap_or_else(|| panic!("{name} is not set")).1.as_str()
    };
    assert_command(&value("ExecStart").split_whitespace().collect::<Vec<_>>());
    assert_eq!(value("WorkingDirectory"), format!("/var/lib/{}", value("StateDirectory")), "the one writable folder");
    assert_ne!(value("User"), "root");
    for (name, expected) in [
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("UMask", "0077"),
        ("LimitCORE", "0"),
        ("KillSignal", "SIGTERM"),
    ] {
        assert_eq!(value(name), expected, "{name}");
    }
    let environment = settings.iter().filter(|(name, _)| name == "Environment");
    let variables = environment.filter_map(|(_, value)| value.split_once('='));
    assert_variables(&variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    for path in ["target/dist/recado", "rules ", "examples/deploy/recado.service", "/var/lib/recado/.env"] {
        assert!(unit.contains(path), "the steps name {path}");
    }
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        left_out("examples/deploy/recado.service was not verified: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let path = folder.path().join("recado.service");
    let unit = shipped("recado.service");
    assert!(unit.contains(&format!("ExecStart={BINARY} ")));
    // It asks whether the program is there.
    std::fs::write(&path, unit.replace(BINARY, env!("CARGO_BIN_EXE_recado"))).expect("a file");
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze").args(args).arg(&path).output().expect("it was there");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{args:?}: {text}");
        text
    };
    let said = analyze(&["verify", "--man=no"]);
    assert!(!said.contains("recado.service"), "{said}");
    analyze(&["security", "--offline=true", "--no-pager", &format!("--threshold={EXPOSURE_MAX_TENTHS}")]);
}

/// The instructions of the Dockerfile: each with its arguments, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let file = shipped("Dockerfile").replace("\\\n", " ");
    let lines = file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parted = lines.map(|line| line.split_once(' ').expect("an instruction has arguments"));
    parted.map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

#[test]
fn the_dockerfile_names_what_exists_and_runs_without_root() {
    let instructions = instructions();
    let all =
        |name: &'static str| instructions.iter().filter(move |(known, _)| known == name).map(|(_, rest)| rest.as_str());
    let last = |name: &'static str| all(name).next_back().unwrap_or_else(|| panic!("there is no {name}"));
    let toolchain = std::fs::read_to_string(top().join("rust-toolchain.toml")).expect("it is there");
    let channel = toolchain.split('"').nth(1).expect("a channel");
    let builds: Vec<&str> = all("FROM").collect();
    let [build, runs] = builds[..] else { panic!("{builds:?}") };
    assert!(build.starts_with(&format!("rust:{channel}-")), "{build}: the toolchain is {channel}");
    // A program that is linked against a newer C library does not run on an older one.
    assert!(build.contains("-trixie ") && runs.starts_with("debian:trixie"), "{build} and {runs}");
    assert!(shipped("Dockerfile").contains(&format!("RUSTUP_TOOLCHAIN={channel}\n")));
    let builds = all("RUN").find(|run| run.starts_with("cargo build")).expect("it is built");
    let manifest = std::fs::read_to_string(top().join("Cargo.toml")).expect("it is there");
    for part in ["--locked", "--profile dist", "--bin recado"] {
        assert!(builds.contains(part), "{builds}");
    }
    assert!(manifest.contains("[profile.dist]") && manifest.contains("name = \"recado\""));

    let copied: Vec<(&str, &str)> =
        all("COPY").filter_map(|copy| copy.strip_prefix("--from=build ")?.split_once(' ')).collect();
    assert_eq!(copied, [("/src/target/dist/recado", BINARY), ("/src/rules", "/var/lib/recado/rules")]);
    assert!(top().join("rules").is_dir() && top().join("Cargo.lock").is_file());
    assert_eq!(all("ADD").count(), 0, "nothing is fetched");
    let (user, group) = last("USER").split_once(':').expect("a user and a group");
    assert!(user.parse::<u32>().is_ok_and(|id| id >= 1_000) && user == group, "{user}");
    assert!(all("RUN").any(|run| run.contains(&format!("--uid {user} "))), "the user exists");
    assert_eq!((last("WORKDIR"), last("VOLUME")), ("/var/lib/recado", "/var/lib/recado/data"));

    let variables = last("ENV").split(' ').filter_map(|pair| pair.split_once('='));
    let variables: BTreeMap<String, String> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(variables["LISTEN"], format!("0.0.0.0:{}", last("EXPOSE")));
    assert_variables(&variables);
    let health = last("HEALTHCHECK").split_once(" CMD ").expect("a command").1;
    for words in [last("CMD"), health] {
        let words = json_words(words);
        assert_command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    assert_eq!(json_words(health), [BINARY, "health"]);
}

#[test]
fn no_secret_gets_into_the_image() {
    let ignored = shipped("Dockerfile.dockerignore");
    for name in ["**/.env", "data", "target", ".git", "**/secret.key"] {
        assert!(ignored.lines().any(|line| line == name), "{name}");
    }
    // What the build needs is not left out.
    for name in ["src", "migrations", "rules", ".cargo", "Cargo.lock"] {
        assert!(!ignored.lines().any(|line| line == name), "{name}");
    }
}

#[tokio::test]
async fn the_health_check_tells_whether_the_server_answers() {
    let mut server = Server::start(options()).await;
    assert_eq!(beside(&server, &["health"]).ok(), "ok\n");
    server.kill();
    beside(&server, &["health"]).fails(1, &["/health does not answer"]);
}

#[test]
fn the_manual_says_how_to_use_them() {
    let manual = std::fs::read_to_string(top().join("src/docs/going-live.md")).expect("it is there");
    for name in std::fs::read_dir(top().join("examples/deploy")).expect("it is there").flatten() {
        let name = name.file_name().to_string_lossy().into_owned();
        let named = name.strip_suffix(".dockerignore").unwrap_or(&name);
        assert!(manual.contains(&format!("examples/deploy/{named}")), "{name}");
    }
}
