use super::*;

fn profile() -> &'static str {
    example("local_file").unwrap()
}

#[test]
fn lines_of_three_types_are_read() {
    let text = format!(
        "pdq {}\nvideo_md5 {}\r\nvideo_sha256 {}",
        hash(1, 32),
        hash(2, 16),
        hash(3, 32)
    );
    let outcome = into_empty(text, profile());
    assert_eq!(outcome.accepted(), 3, "{:?}", outcome.json);
    let kinds: Vec<&str> = (0..3)
        .flat_map(|at| entry(outcome.taken(), at).0.media_kind.names())
        .collect();
    assert_eq!(kinds, ["image", "video", "video"]);
}

#[test]
fn what_the_stock_client_drops_without_a_word_is_told() {
    let pdq = hash(1, 32);
    let lines = [
        format!("pdq {pdq}"),
        format!("pdq,{pdq}"),
        format!("pdq  {pdq}"),
        format!("text {pdq}"),
        String::new(),
        "pdq".to_owned(),
        format!(
            "video_sha256 {}",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
    ];
    let text = lines.join("\n");
    let outcome = into_empty(&text, profile());
    let codes = [
        (2, Code::UnknownType),
        (3, Code::BadRow),
        (4, Code::UnknownType),
        (5, Code::UnknownType),
        (6, Code::BadRow),
        (7, Code::Guarded),
    ];
    assert_eq!(outcome.codes(), codes);
    assert_no_hash(&text, &outcome);
}

#[test]
fn bare_values_have_the_type_that_the_profile_names() {
    let bare = profile().replace("# signal_type", "signal_type");
    let text = format!("{}\n{}\n", hash(1, 32), hash(2, 16));
    let outcome = into_empty(text, &bare);
    assert_eq!(
        (outcome.accepted(), outcome.codes()),
        (1, vec![(2, Code::BadLength)])
    );
    let error = Profile::from_toml(&bare.replace("\"pdq\"", "\"sha1\""), "p").unwrap_err();
    assert!(matches!(
        error.problem,
        Problem::Value {
            name: "signal_type",
            ..
        }
    ));
}
