//! What a former member of staff can still reach: nothing.

use super::{CUSTOMER, beside, options};
use crate::support::http_client;
use crate::support::server::Server;

#[tokio::test]
async fn the_calendar_of_a_former_member_of_staff_is_closed() {
    let server = Server::start(options()).await;
    let mut feeds = Vec::new();
    for name in ["Marta", "Eva"] {
        beside(&server, &["staff", "add", name]).ok();
        let soon = recado::domain::Clock::system().now().to_utc() + chrono::TimeDelta::days(3);
        let soon = soon.format("%Y-%m-%dT10:00").to_string();
        let add = ["appointments", "add", "--customer", CUSTOMER, "--service", "cut", "--staff", name];
        beside(&server, &[&add[..], &["--starts-at", &soon]].concat()).ok();
        let shown = beside(&server, &["staff", "feed", name]).ok();
        let (_, file) = shown.trim().split_once("/calendar/").expect("a URL is shown");
        feeds.push(format!("{}/calendar/{file}", server.url()));
    }
    let status = async |url: &str| http_client().get(url).send().await.expect("it answers").status().as_u16();
    assert_eq!((status(&feeds[0]).await, status(&feeds[1]).await), (200, 200));
    beside(&server, &["staff", "remove", "Marta"]).ok();
    assert_eq!((status(&feeds[0]).await, status(&feeds[1]).await), (404, 200), "hers, and no other");
}
