//! Export, import and erasure: a tenant moves to another installation; a customer is erased down to the file's bytes.

use std::path::Path;
use std::time::Duration;

use super::{CUSTOMER, Ran, beside, command, options, run};
use crate::faults::rig::Look;
use crate::support::server::Server;
use crate::support::wait::eventually;

const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const TOKEN: &str = "t0ken0fSol7777777777777777777777";

fn in_folder(folder: &Path, args: &[&str]) -> Ran {
    run(&mut command(folder, args))
}

#[tokio::test]
async fn a_tenant_moves_with_all_but_its_token() {
    let server = Server::start(options()).await;
    beside(&server, &["tenant", "add", "sol", "--name", "Clínica Sol"]).ok();
    let set = ["tenant", "set", "sol", "--sms", "+34911222333", "--account-sid", ACCOUNT];
    run(command(server.folder(), &set).env("RECADO_TENANT_AUTH_TOKEN", TOKEN)).ok();
    beside(&server, &["export", "sol", "--to", "sol.jsonl"]).ok();
    beside(&server, &["export", "sol", "--to", "sol.jsonl"]).fails(1, &["--force"]);
    beside(&server, &["export", "nobody"]).fails(1, &["no tenant has the slug 'nobody'"]);
    let file = server.folder().join("sol.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    let printed = beside(&server, &["export", "sol"]).ok();
    let rows = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(rows(&printed), rows(&text), "to standard output it is the same");
    assert!(text.contains(ACCOUNT) && !text.contains(TOKEN));

    let elsewhere = tempfile::tempdir().unwrap();
    let file = file.to_str().unwrap();
    in_folder(elsewhere.path(), &["import", file]).fails(1, &["recado migrate"]);
    in_folder(elsewhere.path(), &["migrate"]).ok();
    in_folder(elsewhere.path(), &["import", file, "--dry-run"]).ok();
    let said = in_folder(elsewhere.path(), &["import", file]).ok();
    assert!(said.contains("tenant set sol --account-sid ACaaaa"), "{said}");
    in_folder(elsewhere.path(), &["import", file]).fails(1, &["is taken already"]);
    let listed = in_folder(elsewhere.path(), &["tenant", "list"]).ok();
    assert!(listed.contains("sol: Clínica Sol") && listed.contains("+34911222333"), "{listed}");
    // The installation's account is not used: that would send in another's name.
    assert!(listed.contains(&format!("account: {ACCOUNT}")), "{listed}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("cut.jsonl"), &text[..text.len() - 2]).unwrap();
    in_folder(elsewhere.path(), &["migrate"]).ok();
    in_folder(elsewhere.path(), &["import", "cut.jsonl", "--as", "luna"]).fails(1, &["line "]);
    in_folder(elsewhere.path(), &["tenant", "set", "luna", "--zone", "UTC"])
        .fails(1, &["no tenant has the slug 'luna'"]);
}

/// The words that stand in the database's files.
fn standing(folder: &Path, words: &[&str]) -> Vec<String> {
    let files =
        ["data/recado.db", "data/recado.db-wal"].map(|name| std::fs::read(folder.join(name)).unwrap_or_default());
    let found =
        |word: &&&str| files.iter().any(|bytes| bytes.windows(word.len()).any(|window| window == word.as_bytes()));
    words.iter().filter(found).map(|word| (*word).to_owned()).collect()
}

#[tokio::test]
async fn an_erased_customer_stands_in_no_byte_of_the_file() {
    let server = Server::start(options()).await;
    let words = ["zanahoria", "Remedios", &CUSTOMER[1..]];
    let text = |n: usize| format!("HOLA zanahoria {n}");
    for n in 0..5 {
        beside(&server, &["webhook", "--from", CUSTOMER, &text(n)]).ok();
    }
    beside(&server, &["webhook", "--from", CUSTOMER, "--whatsapp", "--name", "Remedios", "HOLA"]).ok();
    beside(&server, &["webhook", "--from", "+34600777888", "HOLA pepino"]).ok();
    let look = Look::into(server.folder()).await;
    let settled = || async {
        let open = look.count("messages WHERE direction = 'out' AND status <> 'delivered'").await;
        let delivered = look.count("messages WHERE direction = 'out'").await;
        if (open, delivered) == (0, 6) {
            look.open().await
        } else {
            Err(format!("{delivered} answers, {open} on their way"))
        }
    };
    eventually(Duration::from_secs(20), settled).await;
    assert_eq!(standing(server.folder(), &words), words, "they are there before");

    beside(&server, &["erase", "demo", CUSTOMER]).fails(1, &["nothing was erased"]);
    assert_eq!(standing(server.folder(), &words), words);
    drop(look);
    let said = beside(&server, &["erase", "demo", CUSTOMER, "--yes"]).ok();
    assert!(said.contains("erased: 1 customer") && said.contains("at Twilio, too"), "{said}");
    assert_eq!(standing(server.folder(), &words), Vec::<String>::new());
    let other = ["pepino", "34600777888"];
    assert_eq!(standing(server.folder(), &other), other, "others are there still");
    // The remaining rows can be listed and explained.
    beside(&server, &["messages"]).ok();
    beside(&server, &["events"]).ok();
    let listed = beside(&server, &["messages", "--json"]).json();
    let erased = listed.as_array().unwrap().iter().find(|row| row["body"] == "").expect("its bones are there");
    beside(&server, &["explain", erased["id"].as_str().unwrap()]).ok();
    let again = beside(&server, &["erase", "demo", CUSTOMER, "--yes"]).ok();
    assert!(again.contains("erased: 0 customer, 0 messages"), "{again}");
}

#[test]
fn old_data_is_removed_only_if_the_tenant_has_a_retention_period() {
    let folder = tempfile::tempdir().unwrap();
    in_folder(folder.path(), &["migrate"]).ok();
    in_folder(folder.path(), &["tenant", "add", "sol"]).ok();
    let run_all = || in_folder(folder.path(), &["retention", "run"]).ok();
    assert!(run_all().contains("everything is kept"));
    in_folder(folder.path(), &["retention", "run", "--tenant", "sol"]).fails(1, &["--retain-days"]);
    in_folder(folder.path(), &["tenant", "set", "sol", "--retain-days", "3"]).fails(2, &["7 to 3650"]);
    let set = in_folder(folder.path(), &["tenant", "set", "sol", "--retain-days", "30"]).ok();
    assert!(set.contains("keeps what happened for 30 days"), "{set}");
    assert!(run_all().contains("sol: 0 events"));
    in_folder(folder.path(), &["tenant", "set", "sol", "--retain-days", "0"]).ok();
    assert!(run_all().contains("everything is kept"));
}
