//! Lists: accounts, recordings, countries and kinds of numbers, templates; page tokens.

use axum::http::Method;
use serde_json::{Value, json};

use super::calls::App;
use super::*;

impl World {
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}{path}", self.base);
        let request = http::client().unwrap().get(url).query(query).basic_auth(SID, Some(TOKEN));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    async fn template(&self, name: &str, language: &str, body: &str) -> String {
        let template = json!({"friendly_name": name, "language": language, "types": {"twilio/text": {"body": body}}});
        let request = http::client().unwrap().post(format!("{}/v1/Content", self.base)).json(&template);
        let made: Value = request.basic_auth(SID, Some(TOKEN)).send().await.unwrap().json().await.unwrap();
        made["sid"].as_str().unwrap().to_owned()
    }
}

fn names(list: &Value, key: &str, field: &str) -> Vec<String> {
    list[key].as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn credentials_list_their_own_account() {
    let world = World::new().await;
    let (status, list) = world.get("/2010-04-01/Accounts.json", &[]).await;
    assert_eq!((status, names(&list, "accounts", "sid")), (200, vec![SID.to_owned()]));
    assert_eq!(list["next_page_uri"], Value::Null);
    let (_, none) = world.get("/2010-04-01/Accounts.json", &[("Status", "suspended")]).await;
    assert!(none["accounts"].as_array().unwrap().is_empty());
    let nobody = http::client().unwrap().get(format!("{}/2010-04-01/Accounts.json", world.base)).send().await.unwrap();
    assert_eq!(nobody.status(), 401);
}

#[tokio::test]
async fn a_page_token_of_nobody_is_refused() {
    let world = World::new().await;
    for text in ["one", "two", "three"] {
        world.send(text).await.unwrap();
    }
    let (_, first) = world.rest(Method::GET, "Messages.json", &[("PageSize", "2")]).await;
    let next = first["next_page_uri"].as_str().unwrap().to_owned();
    let (status, second) = world.get(&next, &[]).await;
    assert_eq!((status, names(&second, "messages", "body")), (200, vec!["one".to_owned()]));
    for token in ["PASM00000000000000000000000000000009", "PA", "x", "SM1"] {
        for list in ["Messages.json", "Calls.json", "IncomingPhoneNumbers.json", "Recordings.json"] {
            let (status, refused) = world.rest(Method::GET, list, &[("Page", "1"), ("PageToken", token)]).await;
            assert_eq!((status, refused["code"].as_u64()), (400, Some(20001)), "{list} {token}");
        }
        assert_eq!(world.get("/v1/Content", &[("PageToken", token)]).await.0, 400, "{token}");
    }
}

#[tokio::test]
async fn recordings_are_listed_for_the_account_and_for_a_call() {
    let record = "<Response><Record timeout=\"2\"/></Response>";
    let app = App::new(&[("/voice", record)]).await;
    let world = World::answering(&app).await;
    let call = world.caller(vec![Step::speech("hola")]).await;
    let (status, all) = world.rest(Method::GET, "Recordings.json", &[]).await;
    assert_eq!((status, names(&all, "recordings", "call_sid")), (200, vec![call.sid.clone()]));
    let sid = all["recordings"][0]["sid"].as_str().unwrap();
    let (_, of_call) = world.rest(Method::GET, &format!("Calls/{}/Recordings.json", call.sid), &[]).await;
    assert_eq!(names(&of_call, "recordings", "sid"), [sid]);
    let (_, fetched) = world.rest(Method::GET, &format!("Recordings/{sid}.json"), &[]).await;
    assert_eq!(fetched, all["recordings"][0]);
    let (_, none) = world.rest(Method::GET, "Recordings.json", &[("CallSid", "CA1")]).await;
    assert!(none["recordings"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn countries_say_which_kinds_of_numbers_they_have() {
    let world = World::new().await;
    let (status, all) = world.rest(Method::GET, "AvailablePhoneNumbers.json", &[]).await;
    assert_eq!((status, names(&all, "countries", "country_code").len()), (200, 6));
    let (_, spain) = world.rest(Method::GET, "AvailablePhoneNumbers/ES.json", &[]).await;
    assert_eq!((&spain["country"], &spain["country_code"]), (&json!("Spain"), &json!("ES")));
    for (_, uri) in spain["subresource_uris"].as_object().unwrap() {
        assert_eq!(world.get(uri.as_str().unwrap(), &[]).await.0, 200, "{uri}");
    }
    let (_, states) = world.rest(Method::GET, "AvailablePhoneNumbers/US.json", &[]).await;
    assert_eq!(states["subresource_uris"].get("mobile"), None);
    assert_eq!(world.rest(Method::GET, "AvailablePhoneNumbers/XX.json", &[]).await.0, 404);
}

#[tokio::test]
async fn numbers_are_listed_and_bought_by_their_kind() {
    let world = World::new().await;
    for (kind, number) in [("Local", "+34911990001"), ("Mobile", "+34600990001"), ("TollFree", "+34900990001")] {
        let path = format!("IncomingPhoneNumbers/{kind}.json");
        let (status, bought) = world.rest(Method::POST, &path, &[("PhoneNumber", number)]).await;
        assert_eq!((status, bought["phone_number"].as_str()), (201, Some(number)), "{kind}");
        let (_, list) = world.rest(Method::GET, &path, &[]).await;
        assert_eq!(names(&list, "incoming_phone_numbers", "phone_number"), [number], "{kind}");
    }
    let wrong = [("PhoneNumber", "+34911990002")];
    assert_eq!(world.rest(Method::POST, "IncomingPhoneNumbers/Mobile.json", &wrong).await.0, 400);
    assert_eq!(world.rest(Method::GET, "IncomingPhoneNumbers/Pager.json", &[]).await.0, 404);
    let (_, all) = world.rest(Method::GET, "IncomingPhoneNumbers.json", &[]).await;
    assert_eq!(names(&all, "incoming_phone_numbers", "sid").len(), 3);
}

#[tokio::test]
async fn templates_are_searched_and_listed_with_their_approvals() {
    let world = World::new().await;
    let hello = world.template("hello", "es", "Hola {{1}}").await;
    let bye = world.template("bye", "en", "Goodbye {{1}}").await;
    let submit = format!("{}/v1/Content/{hello}/ApprovalRequests/whatsapp", world.base);
    let asked = http::client().unwrap().post(submit).json(&json!({"name": "hello", "category": "UTILITY"}));
    assert_eq!(asked.basic_auth(SID, Some(TOKEN)).send().await.unwrap().status(), 201);
    let (status, list) = world.get("/v1/ContentAndApprovals", &[]).await;
    assert_eq!((status, names(&list, "contents", "sid")), (200, vec![hello.clone(), bye.clone()]));
    assert_eq!(list["contents"][0]["approval_requests"]["status"], "approved");
    assert_eq!(list["contents"][1]["approval_requests"], Value::Null);
    let search = async |query: &[(&str, &str)]| {
        let (status, found) = world.get("/v2/Content", query).await;
        assert_eq!(status, 200);
        names(&found, "contents", "sid")
    };
    assert_eq!(search(&[]).await.len(), 2);
    assert_eq!(search(&[("Language", "es")]).await, [hello.as_str()]);
    assert_eq!(search(&[("Content", "Goodbye")]).await, [bye.as_str()]);
    assert_eq!(search(&[("ContentName", "hell")]).await, [hello.as_str()]);
    assert_eq!(search(&[("ChannelEligibility", "whatsapp:unsubmitted")]).await, [bye.as_str()]);
    assert!(search(&[("ContentType", "twilio/card")]).await.is_empty());
    let (_, first) = world.get("/v2/Content", &[("PageSize", "1")]).await;
    let next = first["meta"]["next_page_url"].as_str().unwrap();
    let (_, second) = world.get(next.strip_prefix("https://content.twilio.com").unwrap(), &[]).await;
    assert_eq!(names(&second, "contents", "sid"), [bye.as_str()]);
}

#[tokio::test]
async fn smart_encoding_is_applied() {
    let world = World::new().await;
    let text = "“It’s” on…";
    for (smart, body) in [("true", "\"It's\" on..."), ("false", text)] {
        let form = [("To", TO), ("From", FROM), ("Body", text), ("SmartEncoded", smart)];
        let (status, made) = world.rest(Method::POST, "Messages.json", &form).await;
        assert_eq!((status, made["body"].as_str()), (201, Some(body)), "{smart}");
    }
}
