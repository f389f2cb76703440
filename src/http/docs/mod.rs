//! `/docs/`: the manual as HTML, without scripts, with a link to every topic on each page.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

use crate::docs::{self, PARTS, Topic};

/// Pages load styles and pictures of this server, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'";
const STYLE: &str = include_str!("style.css");
const TITLE: &str = "The manual";

/// Relative, as the links of the pages are: a proxy may add a path.
pub async fn redirect() -> Redirect {
    Redirect::permanent("docs/")
}

/// The list of topics.
pub async fn index() -> Response {
    page(StatusCode::OK, None, TITLE, &contents())
}

pub async fn style() -> Response {
    with_headers("text/css; charset=utf-8", STYLE.to_owned())
}

/// One topic.
pub async fn show(Path(name): Path<String>) -> Response {
    match docs::topic(&name) {
        Some(topic) => page(StatusCode::OK, Some(topic), topic.title, &render(&topic.markdown())),
        None => page(StatusCode::NOT_FOUND, None, "There is no such topic", &contents()),
    }
}

fn page(status: StatusCode, shown: Option<&Topic>, title: &str, body: &str) -> Response {
    let navigation = navigation(shown);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Recado</title>\n<link rel=\"stylesheet\" href=\"style.css\">\n</head>\n<body>\n\
         <nav aria-label=\"Topics\">\n{navigation}</nav>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    (status, with_headers("text/html; charset=utf-8", html)).into_response()
}

fn with_headers(content_type: &'static str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, body).into_response()
}

/// Links to every topic. They are relative, so that a proxy may add a path.
fn navigation(shown: Option<&Topic>) -> String {
    let mut html = "<p><a href=\"./\">Recado</a></p>\n".to_owned();
    for part in PARTS {
        // Writing to a string cannot fail.
        let _ = write!(html, "<h2>{}</h2>\n<ul>\n", part.title);
        for topic in part.topics {
            let current =
                if shown.is_some_and(|shown| shown.name == topic.name) { " aria-current=\"page\"" } else { "" };
            let _ = writeln!(html, "<li><a href=\"{}\"{current}>{}</a></li>", topic.name, topic.title);
        }
        html += "</ul>\n";
    }
    html
}

/// The list of topics with their summaries.
fn contents() -> String {
    let mut text = format!("# {TITLE}\n");
    for part in PARTS {
        let _ = write!(text, "\n## {}\n\n", part.title);
        for topic in part.topics {
            let _ = writeln!(text, "- [{}]({}.md): {}", topic.title, topic.name, topic.summary);
        }
    }
    render(&text)
}

/// Markdown as HTML: headings get ids, links to topics lead to their pages, and HTML in the text is shown as text.
fn render(markdown: &str) -> String {
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, Options::ENABLE_TABLES).collect();
    let mut seen = HashMap::new();
    let events = events.iter().enumerate().map(|(at, event)| match event {
        Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
            let id = Some(of_its_own(&mut seen, heading_id(&events[at + 1..])).into());
            Event::Start(Tag::Heading { level: *level, id, classes: classes.clone(), attrs: attrs.clone() })
        }
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = destination(*link_type, dest_url);
            Event::Start(Tag::Link { link_type: *link_type, dest_url, title: title.clone(), id: id.clone() })
        }
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text.clone()),
        other => other.clone(),
    });
    let mut page = String::new();
    html::push_html(&mut page, events);
    page
}

/// `hours.md#quiet-hours` is `hours#quiet-hours` here.
fn destination<'a>(link_type: LinkType, url: &CowStr<'a>) -> CowStr<'a> {
    let (file, fragment) = url.split_once('#').unwrap_or((url, ""));
    match file.strip_suffix(".md").and_then(docs::topic) {
        Some(topic) if link_type != LinkType::Autolink => match fragment {
            "" => topic.name.into(),
            fragment => format!("{}#{fragment}", topic.name).into(),
        },
        _ => url.clone(),
    }
}

/// A repeated id gets a number, as on GitHub: `time`, `time-1`.
fn of_its_own(seen: &mut HashMap<String, usize>, id: String) -> String {
    let earlier = seen.entry(id.clone()).or_default();
    *earlier += 1;
    if *earlier == 1 { id } else { format!("{id}-{}", *earlier - 1) }
}

/// The id of a heading as GitHub and rustdoc make it: lower case, blanks as hyphens, no other signs.
fn heading_id(rest: &[Event<'_>]) -> String {
    let inside = rest.iter().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
    let text: String = inside
        .filter_map(|event| match event {
            Event::Text(text) | Event::Code(text) => Some(text.to_lowercase()),
            _ => None,
        })
        .collect();
    text.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, html: &str) {
        assert_eq!(render(markdown), html);
    }

    #[test]
    fn headings_have_ids_and_links_lead_to_topics() {
        check(
            "## Quiet *hours*, and `E_MAIL`\n",
            "<h2 id=\"quiet-hours-and-e_mail\">Quiet <em>hours</em>, and <code>E_MAIL</code></h2>\n",
        );
        check("[a][hours]\n\n[hours]: hours.md\n", "<p><a href=\"hours\">a</a></p>\n");
        check("[a](hours.md#quiet-hours)", "<p><a href=\"hours#quiet-hours\">a</a></p>\n");
        check("[a](https://rhai.rs)", "<p><a href=\"https://rhai.rs\">a</a></p>\n");
        check("[a](nothing.md)", "<p><a href=\"nothing.md\">a</a></p>\n");
    }

    #[test]
    fn html_is_shown_as_text() {
        check("a <b onclick=\"x()\">c</b>", "<p>a &lt;b onclick=\"x()\"&gt;c&lt;/b&gt;</p>\n");
        check("<script>\nx()\n</script>\n", "&lt;script&gt;\nx()\n&lt;/script&gt;\n");
    }

    #[test]
    fn each_heading_of_a_topic_has_an_id_of_its_own() {
        for topic in docs::topics() {
            let html = render(&topic.markdown());
            let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
            assert_eq!(distinct.len(), ids.len(), "{}: {ids:?}", topic.name);
        }
    }
}
