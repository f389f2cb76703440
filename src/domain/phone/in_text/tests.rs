//! Tests of the numbers in texts.

use super::*;

fn home(country: &str) -> Option<Country> {
    Some(country.parse().unwrap())
}

fn check(text: &str, expected: &str) {
    assert_eq!(one_number(&[text], None).as_ref().map(Phone::as_str), Ok(expected), "{text:?}");
}

fn check_at_home(country: &str, text: &str, expected: &str) {
    let read = one_number(&[text], home(country));
    assert_eq!(read.as_ref().map(Phone::as_str), Ok(expected), "{text:?} in {country}");
}

fn none(text: &str) {
    assert_eq!(find(text, None), [], "{text:?}");
}

#[test]
fn what_stands_behind_a_number_is_not_of_it() {
    for text in [
        "Corte Ana +34 600 111 222 - 30 min",
        "Corte Ana +34 600 111 222 – 30 min",
        "Corte Ana +34 600 111 222 30 min",
        "Corte Ana +34 600 111 222 30min",
        "Corte Ana +34 600 111 222 - 30",
        "Corte Ana +34600111222 2 personas",
        "Corte +34 600 111 222 45 €",
        "Corte +34 600 111 222 10:30",
        "Corte +34 600 111 222 10h30",
        "Corte +34 600 111 222 19/12/2026",
        "Corte +34 600 111 222 2026-12-19",
        "Corte +34 600 111 222 25/12",
        "Corte +34 600 111 222. 30 min",
        "Corte +34 600 111 222, 30 min",
        "Corte +34 600 111 222: color",
        "+34600111222\n2026",
        "(+34) 600-111-222 / Ana",
        "0034 600 11 12 22 Ana",
        "+34\u{a0}600\u{2009}111\u{202f}222",
        "\u{202a}+34 600 111 222\u{202c} 1h",
        "Tel:+34600111222;",
        "<p>Corte <b>+34&nbsp;600&nbsp;111&nbsp;222</b></p>",
        "<a href=\"tel:+34600111222\">+34 600 111 222</a>",
    ] {
        check(text, "+34600111222");
    }
    check("Anruf +49 171 1234567 30 min", "+491711234567");
    check("Call +44 (0)20 7946 0958 - 45 min", "+442079460958");
    check("Call +44 07911 123456", "+447911123456");
    check("Rdv +33 6.12.34.56.78", "+33612345678");
    check("Rdv +33 6/12/34/56/78", "+33612345678");
    check("Switchboard +34 911 000 111 ext. 12", "+34911000111");
    check("+55 11 8765-4321", "+551187654321");
}

#[test]
fn other_digits_are_no_numbers() {
    for text in [
        "mailto:ana+34600111222@example.com",
        "ana+34600111222@example.com",
        "ana+2026121910@example.com",
        "mailto:ana+34600111222",
        "https://example.com/?phone=+34600111222",
        "www.example.com/+34600111222",
        "sip:+34600111222@example.com",
        "ref+34600111222",
        "+34600111222abc",
        "+34600111222_1",
        "+346001112223",
        "a+b=+1, 2+2=4",
        "+999 12345678",
        "UTC+02:00 2026",
        "$+34600111222",
        "+34 500 111 222",
        "€ 1.234.567.890",
        "2026-12-19 10:00 - 11:00",
    ] {
        none(text);
    }
}

#[test]
fn numbers_of_conferences_and_services_are_nobodys() {
    for text in [
        "Dial-in: +1 415 555 2671,,123456#",
        "+1 415 555 2671,,123456# United States",
        "Join by phone\n(US) +1 415-555-2671 (PIN: 123456789)",
        "One tap mobile\n+14155552671,,87654321# US\n+13015552671,,87654321# US",
        "Dial by your location<br>\n • +1 415 555 2671 US\n • +44 20 7946 0958 United Kingdom",
        "Or call in (audio only)\n+1 415-555-2671,,1234# \nPhone Conference ID: 123 456 789#",
        "Unirse por teléfono: +34 911 000 111",
        "Zoom: +1 415 555 2671",
        "Per Telefon einwählen\n+49 69 71049922 (Deutschland)",
        "Fax +34 911 000 111",
        "Info: +34 900 123 456",
    ] {
        let found = find(text, None);
        assert!(!found.is_empty() && found.iter().all(|one| one.nobodys), "{text:?}: {found:?}");
        assert!(matches!(one_number(&[text], None), Err(NoClearNumber::Nobodys(_))), "{text:?}");
    }
    check(
        "Corte Ana +34 600 111 222\n\nJoin Zoom Meeting\nhttps://zoom.us/j/1\nDial in: +1 415 555 2671",
        "+34600111222",
    );
    check("Corte Ana +34 600 111 222\nDial-in: +1 415 555 2671,,123#", "+34600111222");
    check("Ana +34 600 111 222, dial-in +1 415 555 2671", "+34600111222");
    // Behind them it is not clear whose a number is.
    let behind = one_number(&["Dial-in: +1 415 555 2671\n\nAna: +34 600 111 222"], None);
    assert!(matches!(behind, Err(NoClearNumber::Nobodys(_))), "{behind:?}");
}

#[test]
fn a_text_names_one_customer_or_says_why_not() {
    let several = one_number(&["Corte +34600111222 +34600333444"], None).unwrap_err();
    assert!(several.to_string().contains("more than one number, +34600111222 and +34600333444"), "{several}");
    assert!(matches!(one_number(&["+34600111222+34600333444"], None), Err(NoClearNumber::Several(..))));
    assert!(matches!(one_number(&["+34600111222", "o +34600333444"], None), Err(NoClearNumber::Several(..))));
    assert_eq!(one_number(&["Lunch"], None), Err(NoClearNumber::None));
    assert_eq!(one_number(&["Ana +34 500 111 222"], None), Err(NoClearNumber::NotValid("+34 500 111 222".to_owned())));
    // The same number twice, and in two forms.
    check("+34 600 111 222 (0034600111222)", "+34600111222");
    check("+54 9 11 2345 6789, +54 11 2345 6789", "+5491123456789");
}

#[test]
fn without_a_code_only_numbers_of_the_home_country_count() {
    check_at_home("ES", "Corte Ana 600 111 222 - 30 min", "+34600111222");
    check_at_home("ES", "10:00 Corte Ana 600111222", "+34600111222");
    check_at_home("GB", "Ana (020) 7946 0958", "+442079460958");
    check_at_home("AR", "Ana 011 15 2345-6789", "+5491123456789");
    check_at_home("ES", "Ana +44 7911 123456, pedido 600111222", "+447911123456");
    for text in
        ["Pedido 600111222", "Ref. 600 111 222", "2026 600 111 222", "x600111222", "19-600111222", "IBAN ES91 2100"]
    {
        assert_eq!(find(text, home("ES")), [], "{text:?}");
    }
    assert_eq!(one_number(&["Corte Ana 600 111 222"], None), Err(NoClearNumber::None));
}

#[test]
fn a_text_is_left_without_its_numbers() {
    let left = |text: &str| without_numbers(text, None).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(left("Corte Ana +34 600 111 222 - 30 min"), "Corte Ana - 30 min");
    assert_eq!(left("ñ +34600111222 ñ"), "ñ ñ");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[+0-9 ().,;:/@<>a\\-\u{a0}\u{ad}é٣\n]{0,60}") {
        for home in [None, home("ES"), home("US")] {
            for found in find(&text, home) {
                proptest::prop_assert!(text.get(found.range).is_some());
            }
        }
    }
}
