//! The routes of the emulator: Twilio's, and its own.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use super::carrier::Carrier;
use super::{account, answer, available, calls, content, control, feed, messages, numbers};

/// Limit of a request's body.
const BODY_MAX_BYTES: usize = 64 * 1024;

impl Carrier {
    /// Returns the routes of the emulator.
    pub fn router(&self) -> Router {
        let account = Router::new()
            .route("/{account}", get(account::fetch))
            .route("/{account}/Balance.json", get(account::balance))
            .route("/{account}/Messages.json", post(messages::create).get(messages::list))
            .route(
                "/{account}/Messages/{message}",
                get(messages::fetch).post(messages::update).delete(messages::delete),
            )
            .route("/{account}/Messages/{message}/Media.json", get(messages::media))
            .route("/{account}/AvailablePhoneNumbers.json", get(available::countries))
            .route("/{account}/AvailablePhoneNumbers/{country}", get(available::country))
            .route("/{account}/AvailablePhoneNumbers/{country}/{kind}", get(available::list))
            .route("/{account}/Calls.json", post(calls::rest::create).get(calls::rest::list))
            .route(
                "/{account}/Calls/{call}",
                get(calls::rest::fetch).post(calls::rest::update).delete(calls::rest::delete),
            )
            .route("/{account}/Calls/{call}/Recordings.json", get(calls::recordings::list_of_call))
            .route("/{account}/Recordings.json", get(calls::recordings::list))
            .route("/{account}/Recordings/{recording}", get(calls::recordings::fetch))
            .route("/{account}/IncomingPhoneNumbers.json", post(numbers::create).get(numbers::list))
            .route(
                "/{account}/IncomingPhoneNumbers/{number}",
                get(numbers::fetch_or_list).post(numbers::update_or_buy).delete(numbers::delete),
            );
        let content = Router::new()
            .route("/", post(content::create).get(content::list))
            .route("/{sid}", get(content::fetch).delete(content::delete))
            .route("/{sid}/ApprovalRequests", get(content::approvals))
            .route("/{sid}/ApprovalRequests/whatsapp", post(content::submit));
        let twilio = Router::new()
            .nest("/2010-04-01/Accounts", account)
            .nest("/v1/Content", content)
            .route("/2010-04-01/Accounts.json", get(account::list))
            .route("/v1/ContentAndApprovals", get(content::list_approvals))
            .route("/v2/Content", get(content::search))
            .layer(middleware::from_fn_with_state(self.clone(), name_request));
        let control = Router::new()
            .route("/carrier/numbers", get(control::numbers))
            .route("/carrier/texts", post(control::text))
            .route("/carrier/feed", get(feed::follow))
            .route("/carrier/messages/{sid}/read", post(control::read))
            .route("/carrier/inbound", post(control::inbound))
            .route(
                "/carrier/faults",
                post(control::order_fault).get(control::show_faults).delete(control::clear_faults),
            )
            .route("/carrier/calls", post(calls::control::begin).get(calls::control::list))
            .route("/carrier/calls/{sid}", get(calls::control::follow))
            .route("/carrier/calls/{sid}/act", post(calls::control::act))
            .route("/carrier/calls/{sid}/streams", get(calls::control::streams))
            .route("/carrier/streams/{sid}/sound", get(calls::control::sound))
            .route(
                "/carrier/parties/{number}",
                get(calls::control::party).put(calls::control::set_party).delete(calls::control::clear_party),
            )
            .route("/carrier/pace", get(calls::control::pace).put(calls::control::set_pace))
            .layer(middleware::from_fn(control::guard));
        twilio
            .merge(control)
            .fallback(|request: Request| async move { answer::not_found(request.uri().path()) })
            .layer(middleware::from_fn_with_state(self.clone(), note_base))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .with_state(self.clone())
    }
}

/// Every answer names its request and has the carrier's time, as Twilio's do.
async fn name_request(State(carrier): State<Carrier>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Ok(id) = HeaderValue::from_str(&carrier.new_sid("RQ")) {
        response.headers_mut().insert("Twilio-Request-Id", id);
    }
    let date = carrier.0.clock.now().to_utc().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

/// Stores the base URL of the request.
async fn note_base(State(carrier): State<Carrier>, request: Request, next: Next) -> Response {
    if let Some(host) = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()) {
        let mut base = carrier.0.base.lock();
        if base.strip_prefix("http://") != Some(host) {
            *base = format!("http://{host}");
        }
    }
    next.run(request).await
}
