//! `/docs/` on a real server: every page, and the resources that it may load.

use recado::docs;
use reqwest::{Response, StatusCode};

use crate::support::http_client;
use crate::support::server::{Server, ServerOptions};

async fn get(server: &Server, path: &str) -> Response {
    http_client().get(format!("{}{path}", server.url())).send().await.expect("the server answers")
}

#[tokio::test]
async fn every_topic_is_a_page_with_links_to_all_and_without_scripts() {
    let server = Server::start(ServerOptions::default().env("METRICS_LISTEN", "off")).await;
    let pages = ["", "style.css"].into_iter().chain(docs::topics().map(|topic| topic.name));
    for name in pages {
        let page = get(&server, &format!("/docs/{name}")).await;
        assert_eq!(page.status(), StatusCode::OK, "{name}");
        let header = |name: &str| page.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'; img-src 'self';"), "{policy}");
        assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        let text = page.text().await.expect("a text");
        if name == "style.css" {
            continue;
        }
        assert!(!text.contains("<script") && !text.contains(" style=") && !text.contains(".md\""), "{name}");
        for topic in docs::topics() {
            let current = if topic.name == name { " aria-current=\"page\"" } else { "" };
            let link = format!("<a href=\"{}\"{current}>{}</a>", topic.name, topic.title);
            assert!(text.contains(&link), "{name} has no {link}");
        }
    }
}

#[tokio::test]
async fn an_unknown_topic_is_not_found() {
    let server = Server::start(ServerOptions::default().env("METRICS_LISTEN", "off")).await;
    let page = get(&server, "/docs/nothing%3Cb%3E").await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    let text = page.text().await.expect("a text");
    assert!(text.contains("There is no such topic") && !text.contains("nothing"), "{text}");
    // A link without the last slash leads to the list.
    let list = get(&server, "/docs").await;
    assert_eq!((list.status(), list.url().path()), (StatusCode::OK, "/docs/"));
}
