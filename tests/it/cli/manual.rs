//! The program's own descriptions: manual pages, completions.

use super::alone;

#[test]
fn each_command_has_a_manual_page() {
    let help = alone(&[], &["--help"]).ok();
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands: Vec<_> =
        commands.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"explain") && commands.contains(&"man"), "{commands:?}");
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    alone(&[], &["man", "--to", pages.to_str().unwrap()]).ok();
    for command in commands.iter().filter(|command| **command != "help") {
        let page = std::fs::read_to_string(pages.join(format!("recado-{command}.1"))).expect(command);
        assert!(page.contains(".SH SYNOPSIS"), "{command}");
    }
    assert!(alone(&[], &["man"]).ok().contains(".SH SUBCOMMANDS"));
}

#[test]
fn shells_get_their_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let script = alone(&[], &["completions", shell]).ok();
        assert!(script.contains("explain") && script.contains("completions"), "{shell}");
    }
    alone(&[], &["completions", "dos"]).fails(2, &["dos", "bash"]);
}
