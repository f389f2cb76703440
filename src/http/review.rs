//! `/r/{token}`: the page of a review link.
//!
//! Opening the page scores nothing, since scanners and message previews open links, too: a button posts the score. No other
//! page can post it: a form has a token of its own, and the browser's word for where it comes from is checked. Each step is
//! stored before the answer. The page has no script, no cookie and nothing from other servers; texts of customers
//! and businesses are escaped.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use reqwest::Url;

use super::AppState;
use crate::domain::placeholders::escape_html;
use crate::features::reviews::{FEEDBACK_CHARS, NextStep, ReviewLink, Reviews, SCORES};
use crate::integrations::twilio::form::Params;
use crate::store::StoreError;

const BODY_MAX_BYTES: usize = 32 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(5);
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const FORM_TOKEN: &str = "form";
/// The token does not leak to the public page, and the page is neither cached nor indexed. Its own forms name their origin.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "private, no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
];

/// Shows the page of a review link.
pub async fn show(State(state): State<AppState>, Path(token): Path<String>, method: Method) -> Response {
    let reviews = reviews(&state);
    let shown = async {
        let Some(link) = reviews.find(&token).await? else { return Ok(not_found()) };
        let next = reviews.next_step(&link).await?;
        if next == NextStep::Score && method == Method::GET {
            reviews.open(&link).await?;
        }
        Ok(page(&link, &next, &reviews.form_token(&link)))
    };
    respond(shown.await)
}

/// Stores a score or a feedback, and shows the next page.
pub async fn submit(State(state): State<AppState>, Path(token): Path<String>, request: Request<Body>) -> Response {
    let ours = is_same_origin(request.headers(), &state.directory.platform().app_url);
    let body = tokio::time::timeout(BODY_WITHIN, to_bytes(request.into_body(), BODY_MAX_BYTES)).await;
    let form = match body {
        Ok(Ok(body)) => Params::parse(&body).ok(),
        _ => None,
    };
    let Some(form) = form else { return StatusCode::BAD_REQUEST.into_response() };
    let reviews = reviews(&state);
    let done = async {
        let Some(link) = reviews.find(&token).await? else { return Ok(not_found()) };
        if !ours {
            tracing::warn!(tenant = %link.tenant.slug, "a review form was refused: another page sent it");
            return Ok(forbidden());
        }
        let fresh = reviews.accepts_form(&link, form.get(FORM_TOKEN).unwrap_or_default());
        if fresh {
            if let Some(score) = form.get("score").and_then(score_of) {
                reviews.score(&link, score).await?;
            }
            if let Some(text) = form.filled("feedback") {
                reviews.feedback(&link, text).await?;
            }
        }
        let shown = page(&link, &reviews.next_step(&link).await?, &reviews.form_token(&link));
        // The page with a new token: the customer sends it once more.
        Ok(if fresh { shown } else { (StatusCode::FORBIDDEN, shown).into_response() })
    };
    respond(done.await)
}

fn reviews(state: &AppState) -> Reviews<'_> {
    Reviews { pipeline: &state.pipeline, store: &state.store, directory: &state.directory }
}

fn score_of(text: &str) -> Option<u8> {
    text.parse().ok().filter(|score| SCORES.contains(score))
}

/// Whether a form comes from a page of this server, as the browser says: by `Sec-Fetch-Site` (Fetch Metadata) and `Origin`
/// (RFC 6454). A page cannot set either. Programs and old browsers send neither; for them the form's token decides.
fn is_same_origin(headers: &HeaderMap, app_url: &str) -> bool {
    let value = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    let site = value(HeaderName::from_static("sec-fetch-site"));
    if site.as_deref().is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    match value(header::ORIGIN).as_deref() {
        None => true,
        // A browser that hides the origin.
        Some("null") => site.as_deref() == Some("same-origin"),
        Some(origin) => {
            let host = value(header::HOST);
            let reached = origin.split_once("://").map(|(_, authority)| authority);
            reached.is_some() && (host.as_deref() == reached || origin_of(app_url).as_deref() == Some(origin))
        }
    }
}

/// The origin of a URL, as browsers write it.
fn origin_of(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.origin().ascii_serialization())
}

fn respond(result: Result<Response, StoreError>) -> Response {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "a review waits for the database");
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    })
}

fn page(link: &ReviewLink, next: &NextStep, form_token: &str) -> Response {
    let words = Words { spanish: link.language.starts_with("es") };
    let thanks = paragraph(words.pick("Thank you!", "¡Gracias!"));
    let inner = match next {
        NextStep::Score => words.ask_score(form_token),
        NextStep::PublicReview(url) => format!("{thanks}{}", words.ask_public_review(url)),
        NextStep::Feedback => format!("{thanks}{}", words.ask_feedback(form_token)),
        NextStep::Done => thanks,
    };
    let name = escape_html(&link.tenant.facts.name);
    let page = format!(
        "<!doctype html><html lang=\"{}\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{name}</title><h1>{name}</h1>{inner}</html>",
        words.pick("en", "es")
    );
    (HEADERS, page).into_response()
}

/// The answer to a form of another page. It has no token of a form.
fn forbidden() -> Response {
    let text = "<!doctype html><meta charset=\"utf-8\"><title>403</title><p>Nothing was sent: please open the link of your \
                message again. No se ha enviado nada: abre otra vez el enlace de tu mensaje.</p>";
    (StatusCode::FORBIDDEN, HEADERS, text).into_response()
}

fn not_found() -> Response {
    let text = "<!doctype html><meta charset=\"utf-8\"><title>404</title><p>This link is not good (any more). \
                Este enlace no es válido.</p>";
    (StatusCode::NOT_FOUND, HEADERS, text).into_response()
}

/// The page's words, in one of two languages.
struct Words {
    spanish: bool,
}

impl Words {
    const fn pick<'t>(&self, english: &'t str, spanish: &'t str) -> &'t str {
        if self.spanish { spanish } else { english }
    }

    fn ask_score(&self, form_token: &str) -> String {
        let ask =
            self.pick("How was it? From 1 (bad) to 5 (very good):", "¿Qué tal ha ido? De 1 (mal) a 5 (muy bien):");
        let button = |score| format!("<button name=\"score\" value=\"{score}\">{score}</button> ");
        let buttons: String = SCORES.map(button).collect();
        format!("{}<form method=\"post\">{}<p>{buttons}</p></form>", paragraph(ask), hidden(form_token))
    }

    fn ask_public_review(&self, url: &str) -> String {
        let ask = self.pick("Would you tell others, too?", "¿Se lo cuentas también a otros?");
        format!(
            "{}<p><a rel=\"noopener noreferrer\" href=\"{}\">{}</a></p>",
            paragraph(ask),
            escape_html(url),
            self.pick("Write a public review", "Escribir una reseña pública")
        )
    }

    fn ask_feedback(&self, form_token: &str) -> String {
        let ask =
            self.pick("What could we do better? Only we read this.", "¿Qué podemos mejorar? Solo lo leemos nosotros.");
        let send = self.pick("Send", "Enviar");
        format!(
            "<form method=\"post\">{}<p><label>{ask}<br><textarea name=\"feedback\" rows=\"6\" cols=\"34\" \
             maxlength=\"{FEEDBACK_CHARS}\" required></textarea></label></p><p><button>{send}</button></p></form>",
            hidden(form_token)
        )
    }
}

/// The field of a form that carries its token.
fn hidden(form_token: &str) -> String {
    format!("<input type=\"hidden\" name=\"{FORM_TOKEN}\" value=\"{}\">", escape_html(form_token))
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape_html(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_of_another_page_is_told_from_our_own() {
        let check = |expect: bool, origin: &str, site: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8000".parse().unwrap());
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if !value.is_empty() {
                    headers.insert(HeaderName::from_static(name), value.parse().unwrap());
                }
            }
            assert_eq!(is_same_origin(&headers, "https://Messages.example.com:443/base"), expect, "{origin} {site}");
        };
        for origin in ["", "https://messages.example.com", "HTTPS://messages.example.com", "http://127.0.0.1:8000"] {
            for site in ["", "same-origin", "none"] {
                check(true, origin, site);
            }
            for site in ["cross-site", "same-site", "x"] {
                check(false, origin, site);
            }
        }
        check(true, "null", "same-origin");
        for site in ["", "none", "same-site", "cross-site"] {
            check(false, "null", site);
        }
        for origin in [
            "https://evil.example",
            "http://messages.example.com",
            "https://messages.example.com.evil.example",
            "https://messages.example.com:8443",
            "http://127.0.0.1:8001",
            "http://127.0.0.1",
            "127.0.0.1:8000",
            "messages.example.com",
        ] {
            check(false, origin, "");
            check(false, origin, "same-origin");
        }
    }
}
