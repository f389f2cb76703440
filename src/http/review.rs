//! `/r/{token}`: the page of a review link.
//!
//! Opening the page scores nothing, since scanners and message previews open links, too: a button posts the score. Each
//! step is stored before the answer. The page has no script, no cookie and nothing from other servers; texts of customers
//! and businesses are escaped.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::AppState;
use crate::domain::placeholders::escape_html;
use crate::features::reviews::{FEEDBACK_CHARS, NextStep, ReviewLink, Reviews, SCORES};
use crate::integrations::twilio::form::Params;
use crate::store::StoreError;

const BODY_MAX_BYTES: usize = 32 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(5);
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// The token does not leak to the public page, and the page is neither cached nor indexed.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "private, no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::HeaderName::from_static("x-robots-tag"), "noindex"),
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
        Ok(page(&link, &next))
    };
    respond(shown.await)
}

/// Stores a score or a feedback, and shows the next page.
pub async fn submit(State(state): State<AppState>, Path(token): Path<String>, request: Request<Body>) -> Response {
    let body = tokio::time::timeout(BODY_WITHIN, to_bytes(request.into_body(), BODY_MAX_BYTES)).await;
    let form = match body {
        Ok(Ok(body)) => Params::parse(&body).ok(),
        _ => None,
    };
    let Some(form) = form else { return StatusCode::BAD_REQUEST.into_response() };
    let reviews = reviews(&state);
    let done = async {
        let Some(link) = reviews.find(&token).await? else { return Ok(not_found()) };
        if let Some(score) = form.get("score").and_then(score_of) {
            reviews.score(&link, score).await?;
        }
        if let Some(text) = form.filled("feedback") {
            reviews.feedback(&link, text).await?;
        }
        Ok(page(&link, &reviews.next_step(&link).await?))
    };
    respond(done.await)
}

fn reviews(state: &AppState) -> Reviews<'_> {
    Reviews { pipeline: &state.pipeline, store: &state.store, directory: &state.directory }
}

fn score_of(text: &str) -> Option<u8> {
    text.parse().ok().filter(|score| SCORES.contains(score))
}

fn respond(result: Result<Response, StoreError>) -> Response {
    result.unwrap_or_else(|error| {
        tracing::warn!(%error, "a review waits for the database");
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    })
}

fn page(link: &ReviewLink, next: &NextStep) -> Response {
    let words = Words { spanish: link.language.starts_with("es") };
    let thanks = paragraph(words.pick("Thank you!", "¡Gracias!"));
    let inner = match next {
        NextStep::Score => words.ask_score(),
        NextStep::PublicReview(url) => format!("{thanks}{}", words.ask_public_review(url)),
        NextStep::Feedback => format!("{thanks}{}", words.ask_feedback()),
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

    fn ask_score(&self) -> String {
        let ask =
            self.pick("How was it? From 1 (bad) to 5 (very good):", "¿Qué tal ha ido? De 1 (mal) a 5 (muy bien):");
        let button = |score| format!("<button name=\"score\" value=\"{score}\">{score}</button> ");
        format!("{}<form method=\"post\"><p>{}</p></form>", paragraph(ask), SCORES.map(button).collect::<String>())
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

    fn ask_feedback(&self) -> String {
        let ask =
            self.pick("What could we do better? Only we read this.", "¿Qué podemos mejorar? Solo lo leemos nosotros.");
        let send = self.pick("Send", "Enviar");
        format!(
            "<form method=\"post\"><p><label>{ask}<br><textarea name=\"feedback\" rows=\"6\" cols=\"34\" \
             maxlength=\"{FEEDBACK_CHARS}\" required></textarea></label></p><p><button>{send}</button></p></form>"
        )
    }
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>", escape_html(text))
}
