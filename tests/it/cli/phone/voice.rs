//! `recado phone --call` and `--ring`, at the built-in carrier, with a business that answers TwiML.

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{Next, from_fn};
use axum::routing::post;
use recado::domain::Clock;
use recado::emulators::twilio::{Carrier, CarrierConfig, NumberConfig, Pace};
use serde_json::Value;
use tokio::net::TcpListener;

use super::CUSTOMER;
use super::plain::plain;
use crate::support::http_client;
use crate::support::wait::eventually;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "a-token-of-the-carrier";
const BUSINESS: &str = "+34911222333";

const MENU: &str =
    "<Response><Gather numDigits=\"1\" action=\"/menu\"><Say>Pulse 1 para pedir cita.</Say></Gather></Response>";
const ASK: &str = "<Response><Gather input=\"speech\" action=\"/day\"><Say>¿Para qué día?</Say></Gather></Response>";
const DONE: &str = "<Response><Say>Anotado.\u{202e} Hasta luego.</Say></Response>";
const WAITS: &str = "<Response><Gather action=\"/menu\" timeout=\"60\"><Say>¿Sigue ahí?</Say></Gather></Response>";

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// A carrier whose number asks the business, with the addresses of both.
async fn carrier(first: &'static str) -> (Carrier, String, String) {
    let says = |document: &'static str| post(move || async move { ([(CONTENT_TYPE, "text/xml")], document) });
    let business = Router::new().route("/", says(first)).route("/menu", says(ASK)).route("/day", says(DONE));
    let business = serve(business).await;
    let number = NumberConfig {
        account_sid: ACCOUNT.into(),
        number: BUSINESS.into(),
        voice_url: Some(format!("{business}/")),
        ..NumberConfig::default()
    };
    let pace = Pace { calls_per_second: None, ..Pace::default() };
    let config = CarrierConfig { numbers: vec![number], pace, ..CarrierConfig::new(ACCOUNT, TOKEN, Clock::system()) };
    let carrier = Carrier::new(config).expect("a carrier");
    let url = serve(carrier.router()).await;
    (carrier, url, business)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_calls_presses_and_speaks() {
    let (_carrier, url, _) = carrier(MENU).await;
    let (code, out, err) = plain(&["--carrier", &url, "--call"], "1\nel lunes\n").await;
    let expect = format!(
        "* {CUSTOMER} calls {BUSINESS}\n< Pulse 1 para pedir cita.\n> 1\n< ¿Para qué día?\n> el lunes\n\
         < Anotado.\u{fffd} Hasta luego.\n* completed after "
    );
    assert!(code == Some(0) && out.starts_with(&expect), "{out} {err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_input_hangs_up() {
    let (carrier, url, _) = carrier(WAITS).await;
    let (code, out, err) = plain(&["--carrier", &url, "--call", "--wait", "1s"], "").await;
    assert!(code == Some(0) && out.contains("< ¿Sigue ahí?\n* completed"), "{out} {err}");
    assert_eq!(carrier.calls_open(), 0);
    let (code, _, err) = plain(&["--carrier", &url, "--call", "--to", "+34911999999"], "").await;
    assert!(code == Some(1) && err.contains("nobody has the number"), "{err}");
}

/// The parts of a taken call, in their order.
fn assert_taken((code, out, err): (Option<i32>, String, String)) {
    let shown =
        ["calls: Enter takes the call", "< Pulse 1", "> 1", "< ¿Para qué día?", "> hoy", "< Anotado", "* completed"];
    let mut rest = out.as_str();
    for part in shown {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part} in {out} {err}"));
        rest = &rest[at..];
    }
    assert_eq!(code, Some(0), "{err}");
}

/// Calls the customer as the business.
async fn call_customer(carrier: &str, business: &str) {
    let form = [("To", CUSTOMER), ("From", BUSINESS), ("Url", business)];
    let path = format!("{carrier}/2010-04-01/Accounts/{ACCOUNT}/Calls.json");
    let request = http_client().post(path).basic_auth(ACCOUNT, Some(TOKEN)).form(&form);
    assert_eq!(request.send().await.expect("the carrier answers").status(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_the_customer_rings_and_is_taken() {
    let (carrier, url, business) = carrier(MENU).await;
    let phone = tokio::spawn({
        let url = url.clone();
        async move { plain(&["--carrier", &url, "--ring", "--wait", "1s"], "1\nhoy\n").await }
    });
    let (http, party) = (http_client(), format!("{url}/carrier/parties/{CUSTOMER}"));
    eventually(std::time::Duration::from_secs(20), || async {
        let answer = http.get(&party).send().await.map_err(|error| error.to_string())?;
        let party: Value = answer.json().await.map_err(|error| error.to_string())?;
        if party["picks_up"] == "live" { Ok(()) } else { Err(party.to_string()) }
    })
    .await;
    call_customer(&url, &business).await;
    assert_taken(phone.await.expect("no panic"));
    carrier.wait_calls().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_comes_as_soon_as_the_phone_is_ready_is_taken() {
    let (carrier, url, business) = carrier(MENU).await;
    // The number is live, and the phone has not been told so yet.
    let call_at_once = from_fn(move |request: Request, next: Next| {
        let (url, business, live) = (url.clone(), business.clone(), request.method() == Method::PUT);
        async move {
            let response = next.run(request).await;
            if live {
                call_customer(&url, &business).await;
            }
            response
        }
    });
    let early = serve(carrier.router().layer(call_at_once)).await;
    assert_taken(plain(&["--carrier", &early, "--ring", "--wait", "1s"], "1\nhoy\n").await);
    carrier.wait_calls().await;
}
