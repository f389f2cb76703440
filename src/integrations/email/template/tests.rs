//! Template folders, and the escaping of values.

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(FOLDER).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn load(files: &[(&str, &str)]) -> (Templates, Vec<String>) {
    let (templates, faults) = Templates::load(folder(files).path(), |_, _| ());
    (templates, faults.iter().map(ToString::to_string).collect())
}

fn values(pairs: &[(&str, &str)]) -> Values {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Renders `html` with `value` for `{{x}}`.
fn html(html: &str, value: &str) -> Result<String, String> {
    let (templates, faults) = load(&[("a.txt", "Subject: s\n\nt"), ("a.html", html)]);
    match faults.first() {
        Some(fault) => Err(fault.clone()),
        None => templates.render("", "a", &values(&[("x", value)])).map(|rendered| rendered.html.unwrap()),
    }
}

#[test]
fn a_template_is_a_subject_a_text_and_html() {
    let text = "Subject: Your visit, {{ name }}\r\n\r\nHello {{name}},\nsee you on {{day}}.\n";
    let (templates, faults) = load(&[("visit.txt", text), ("visit.html", "<p>Hello {{name}}</p>")]);
    assert_eq!(faults, [""; 0]);
    assert_eq!(templates.values("visit").unwrap(), BTreeSet::from(["day", "name"]));
    let rendered = templates.render("sol", "visit", &values(&[("name", "Ana & Eva"), ("day", "Monday")])).unwrap();
    assert_eq!(rendered.subject, "Your visit, Ana & Eva");
    assert_eq!(rendered.text, "Hello Ana & Eva,\nsee you on Monday.\n");
    assert_eq!(rendered.html.unwrap(), "<p>Hello Ana &amp; Eva</p>");
    let missing = templates.render("sol", "visit", &values(&[("name", "Ana")])).unwrap_err();
    assert_eq!(missing, "visit: the value {{day}} is missing");
    assert!(templates.render("sol", "vist", &Values::new()).unwrap_err().contains("no template 'vist'"));
}

#[test]
fn a_tenants_own_template_wins() {
    let (templates, faults) = load(&[
        ("a.txt", "Subject: s\n\nours"),
        ("sol/a.txt", "Subject: s\n\nSol's"),
        ("sol/b.txt", "Subject: s\n\nb"),
    ]);
    assert_eq!(faults, [""; 0]);
    let text = |slug, name| templates.render(slug, name, &Values::new()).map(|rendered| rendered.text);
    assert_eq!(text("sol", "a").unwrap(), "Sol's");
    assert_eq!(text("demo", "a").unwrap(), "ours");
    assert_eq!(text("sol", "b").unwrap(), "b");
    assert!(text("demo", "b").unwrap_err().contains("other tenants'"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (file, text, expect) in [
        ("a.txt", "Hello", "templates/a.txt:1: the first line must be the subject: Subject: …"),
        ("a.txt", "Subject: \n\nx", "templates/a.txt:1: the first line must be the subject: Subject: …"),
        ("a.txt", "Subject: s\n", "templates/a.txt:2: the text below the subject is empty"),
        ("a.txt", "Subject: s\n\nx\n{{ no", "templates/a.txt:4: {{ has no }} to end it"),
        ("a.txt", "Subject: {{First name}}\n\nx", "templates/a.txt:1: 'First name' is no name of a value"),
        ("a.html", "<p>", "templates/a.html:1: there is no templates/a.txt beside it"),
        ("A b.txt", "Subject: s\n\nx", "templates/A b.txt:0: a template is a file <name>.txt"),
        ("a.md", "x", "templates/a.md:0: a template is a file <name>.txt"),
    ] {
        let (templates, faults) = load(&[(file, text)]);
        assert!(faults.len() == 1 && faults[0].starts_with(expect), "{expect}\n{faults:?}");
        assert_eq!(templates.names().count(), 0);
    }
    let (_, faults) = load(&[("a.txt", &format!("Subject: s\n\n{}", "x".repeat(BODY_BYTES)))]);
    assert!(faults[0].contains("100000 is the most"), "{faults:?}");
    let (_, faults) = Templates::load(tempfile::tempdir().unwrap().path(), |_, _| ());
    assert_eq!(faults, []);
}

#[test]
fn values_cannot_become_html() {
    let evil = "<img src=x onerror=\"alert('1')\">&";
    let safe = "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;";
    assert_eq!(html("<p>{{x}}</p>", evil).unwrap(), format!("<p>{safe}</p>"));
    assert_eq!(html("<b title='{{x}}'>", evil).unwrap(), format!("<b title='{safe}'>"));
    assert_eq!(html("<!-- a > b --><style>p{}</style><p>{{x}}", "v").unwrap().matches('v').count(), 1);
    for unsafe_place in [
        "<p {{x}}>",
        "<p class={{x}}>",
        "<p class=a{{x}} title=\"b\">",
        "<script>{{x}}</script>",
        "<SCRIPT/x>{{x}}</script>",
        "<style>p { color: {{x}} }</style>",
        "<p style=\"color: {{x}}\">",
        "<p onclick='f(\"{{x}}\")'>",
        "<p/ONCLICK=\"{{x}}\">",
        "<p \"{{x}}\">",
        "<p title=\"a\"\"{{x}}\">",
        "<!-- {{x}} -->",
        "a < b {{x}}",
    ] {
        let fault = html(unsafe_place, "v").unwrap_err();
        assert!(fault.starts_with("templates/a.html:1: "), "{unsafe_place}: {fault}");
    }
}

#[test]
fn links_lead_to_the_web() {
    for link in ["<a href=\"{{x}}\">", "<a title=\"a\" HREF = '{{x}}'>", "<img src=\" {{x}}\">"] {
        assert!(html(link, "https://a.example/?a=1&b=2").unwrap().contains("https://a.example/?a=1&amp;b=2"), "{link}");
        assert!(html(link, "MAILTO:ana@example.com").is_ok());
        for evil in ["javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "//a.example", "ñ"] {
            assert!(html(link, evil).unwrap_err().contains("must begin with https://"), "{link} {evil}");
        }
    }
    assert!(html("<a href=\"https://a.example/{{x}}\">", "javascript:1").is_ok());
}

#[test]
fn what_is_rendered_is_bounded() {
    let (templates, _) = load(&[("a.txt", "Subject: {{x}}\n\n{{y}}{{y}}")]);
    let render = |x: &str, y: &str| templates.render("", "a", &values(&[("x", x), ("y", y)])).map(|_| ());
    assert_eq!(render("s", "t"), Ok(()));
    assert!(render(&"s".repeat(201), "t").unwrap_err().contains("200 characters"));
    assert!(render("s", &"t".repeat(BODY_BYTES / 2 + 1)).unwrap_err().contains("100000 bytes"));
}
