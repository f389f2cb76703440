//! Numbers: search, buy, configure, release.

use axum::http::Method;
use serde_json::Value;

use super::calls::App;
use super::*;

async fn search(world: &World, kind: &str, query: &[(&str, &str)]) -> (u16, Vec<String>) {
    let (status, found) = world.rest(Method::GET, &format!("AvailablePhoneNumbers/{kind}.json"), query).await;
    let numbers = found["available_phone_numbers"].as_array().cloned().unwrap_or_default();
    (status, numbers.iter().map(|number| number["phone_number"].as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn numbers_to_buy_are_the_same_every_time_until_one_is_bought() {
    let world = World::new().await;
    let (status, found) = search(&world, "US/Local", &[("AreaCode", "212"), ("PageSize", "3")]).await;
    assert_eq!(
        (status, found.as_slice()),
        (200, &["+12125550000", "+12125550007", "+12125550014"].map(String::from)[..])
    );
    let (status, bought) = world.rest(Method::POST, "IncomingPhoneNumbers.json", &[("PhoneNumber", &found[0])]).await;
    assert_eq!((status, bought["phone_number"].as_str()), (201, Some("+12125550000")));
    let (_, rest) = search(&world, "US/Local", &[("AreaCode", "212"), ("PageSize", "2")]).await;
    assert_eq!(rest, found[1..]);
    let (_, like) = search(&world, "ES/Mobile", &[("Contains", "3**7"), ("PageSize", "5")]).await;
    assert!(like.len() == 5 && like.iter().all(|number| number.starts_with("+3460099")), "{like:?}");
    for (kind, query, status, count) in [
        ("ES/TollFree", &[][..], 200, 30),
        ("US/Local", &[("AreaCode", "533")][..], 200, 0),
        ("US/Mobile", &[][..], 404, 0),
        ("XX/Local", &[][..], 404, 0),
        ("US/Local", &[("AreaCode", "21")][..], 400, 0),
        ("US/Local", &[("Contains", "1")][..], 400, 0),
    ] {
        let (found, numbers) = search(&world, kind, query).await;
        assert_eq!((found, numbers.len()), (status, count), "{kind} {query:?}");
    }
}

#[tokio::test]
async fn a_number_is_bought_with_its_urls_and_calls_go_there() {
    let mut app = App::new(&[("/in", "<Response><Say>Hola</Say></Response>")]).await;
    let world = World::with(|config| config.pace.calls_per_second = None).await;
    for (field, value, code) in
        [("PhoneNumber", "+15005550000", 21422), ("PhoneNumber", "+15005550001", 21421), ("AreaCode", "533", 21452)]
    {
        let (status, refused) = world.rest(Method::POST, "IncomingPhoneNumbers.json", &[(field, value)]).await;
        assert_eq!((status, refused["code"].as_u64()), (400, Some(code)), "{value}");
    }
    let (voice, callback_url) = (format!("{}/in", app.url), format!("{}/told", app.url));
    let urls = [("VoiceUrl", voice.as_str()), ("VoiceMethod", "GET"), ("StatusCallback", &callback_url)];
    let form = [&[("PhoneNumber", "+34911990000")], &urls[..]].concat();
    let (_, bought) = world.rest(Method::POST, "IncomingPhoneNumbers.json", &form).await;
    let configured =
        ["voice_url", "voice_method", "status_callback"].map(|field| bought[field].as_str().unwrap_or_default());
    assert_eq!(configured, [voice.as_str(), "GET", &callback_url]);
    let call = || CustomerCall { from: TO.into(), to: "+34911990000".into(), ..CustomerCall::default() };
    world.carrier.take_call(&call()).unwrap();
    world.carrier.wait_calls().await;
    let asked = app.all();
    let seen: Vec<_> = asked.iter().map(|asked| (asked.path.as_str(), asked.method.as_str())).collect();
    assert_eq!(seen, [("/in", "GET"), ("/told", "POST")]);
    let path = format!("IncomingPhoneNumbers/{}.json", bought["sid"].as_str().unwrap());
    let (_, changed) = world.rest(Method::POST, &path, &[("VoiceUrl", "")]).await;
    assert_eq!(changed["voice_url"], "");
    assert_eq!(world.carrier.take_call(&call()).err(), Some(CallError::NotConfigured("+34911990000".into())));
    assert_eq!(world.rest(Method::DELETE, &path, &[]).await, (204, Value::Null));
    assert_eq!(world.carrier.take_call(&call()).err(), Some(CallError::NoSuchNumber("+34911990000".into())));
}
