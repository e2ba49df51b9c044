//! Paths of Arachnid Shield: whatever refuses there, and for whatever reason, says so in JSON with `detail`.

use super::*;

impl Answer {
    /// What is said of a refusal in this shape.
    fn detail(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json");
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        let fields = body.as_object().unwrap();
        assert_eq!(fields.len(), 1, "{fields:?}");
        fields["detail"].as_str().unwrap().to_owned()
    }
}

#[test]
fn each_refusal_on_a_path_of_shield_is_json_with_detail() {
    let site = Site::new();
    let token = bearer(&site.token());
    let body = |text: &str| format!("{token}Content-Length: {}\r\n\r\n{text}", text.len());
    for (line, headers, status) in [
        ("POST /v1/pdq/", String::new(), 401),
        ("POST /v1/pdq/", bearer("hp1_00000000_x"), 401),
        ("POST /v1/pdq/", body("{\"hashes\":"), 400),
        (
            "POST /v1/pdq/",
            format!("{token}Content-Length: 10737418240\r\n"),
            413,
        ),
        ("GET /v1/pdq/", token.clone(), 405),
        ("POST /v1/pdq", token.clone(), 404),
    ] {
        let answer = site.ask(line, &headers);
        assert_eq!(answer.status, status, "{line} {headers}");
        assert!(!answer.detail().is_empty());
    }
    let elsewhere = site.ask("POST /read", "");
    assert_eq!(
        (elsewhere.status, elsewhere.problem().as_str()),
        (401, "credential")
    );
}

#[test]
fn content_and_addresses_are_refused_before_anything_of_them_is_read() {
    let site = Site::new();
    for path in ["/v1/media/", "/v1/url/"] {
        // The body is announced and never sent.
        let answer = site.ask(&format!("POST {path}"), "Content-Length: 10737418240\r\n");
        assert_eq!(answer.status, 404);
        assert!(answer.detail().contains("no content"));
        assert!(answer.took < SOON / 4, "{:?}", answer.took);
    }
}
