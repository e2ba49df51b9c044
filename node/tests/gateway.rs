//! The gateway of a running node, as an operator opens it to a member and a member's program meets it.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{Network, Node, Over, SOON, until};
use serde_json::Value;

/// A node that serves members, with one.
fn serving(folder: &Path) -> Result<Node> {
    let mut node = Node::init(folder, "eu", Over::Tcp)?;
    Network::found(folder, &[&node])?;
    node.configure("[gateway]\nlisten = \"127.0.0.1:0\"\n")?;
    node.start()?;
    add(&node, "acme")?;
    Ok(node)
}

fn add(node: &Node, name: &str) -> Result<Value> {
    let args = [
        "member",
        "add",
        name,
        "--jurisdiction",
        "EU",
        "--sector",
        "hosting",
    ];
    node.run(&args)?.ends(0)
}

fn credential(node: &Node, args: &[&str]) -> Result<Value> {
    node.run(&[&["member", "credential"][..], args].concat())?
        .ends(0)
}

fn token(node: &Node, args: &[&str]) -> Result<String> {
    let issued = credential(node, &[&["issue", "acme"][..], args].concat())?;
    Ok(issued["token"].as_str().context("no token")?.to_owned())
}

fn address(node: &Node) -> Result<SocketAddr> {
    let listening = node.status()?.gateway.listening;
    Ok(listening.context("it does not listen")?.parse()?)
}

struct Answer {
    status: u16,
    body: Value,
}

/// One request as a program makes it, with a token or none.
fn ask(node: &Node, path: &str, token: Option<&str>) -> Result<Answer> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(SOON))
        .build()
        .into();
    let mut request = agent.get(format!("http://{}{path}", address(node)?));
    if let Some(token) = token {
        let basic = STANDARD.encode(format!("acme:{token}"));
        request = request.header("Authorization", format!("Basic {basic}"));
    }
    let mut answer = request.call()?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string()?;
    let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
    Ok(Answer { status, body })
}

/// Whether a token is admitted: what the member may have then is another question.
fn is_admitted(node: &Node, token: &str) -> Result<bool> {
    let status = ask(node, "/v1/subset", Some(token))?.status;
    ensure!([200, 401, 403, 503].contains(&status), "{status}");
    Ok(status != 401)
}

#[test]
fn an_operator_opens_rotates_and_closes_the_gateway_to_a_member() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = serving(folder.path())?;
    let refused = ask(&node, "/v1/subset", None)?;
    ensure!(refused.status == 401 && refused.body["type"] == "urn:hashpact:problem:credential");
    let first = token(
        &node,
        &["--expires", "90", "--network", "127.0.0.0/8", "--lookup"],
    )?;
    ensure!(is_admitted(&node, &first)?);
    ensure!(!is_admitted(&node, &first.replace("hp1_", "hp1_0"))?);
    // It outlives the process, and its secret is in no file of the home and in nothing that was said but once.
    node.stop()?;
    node.start()?;
    ensure!(is_admitted(&node, &first)?);
    let listed = credential(&node, &["list", "acme"])?;
    let [one] = &listed["credentials"].as_array().context("no list")?[..] else {
        anyhow::bail!("{listed}");
    };
    ensure!(
        one["lookup"] == true && one["networks"][0] == "127.0.0.0/8",
        "{one}"
    );
    ensure!(!listed.to_string().contains(&first) && !node.log()?.contains(&first));
    let rotated = credential(&node, &["rotate", "acme"])?;
    let second = rotated["credentials"][0]["token"]
        .as_str()
        .context("no token")?;
    ensure!(is_admitted(&node, &first)? && is_admitted(&node, second)?);
    let id = one["credential"].as_str().context("no id")?;
    credential(&node, &["revoke", "acme", "--credential", id])?;
    ensure!(!is_admitted(&node, &first)? && is_admitted(&node, second)?);
    let status = node.status()?.gateway;
    ensure!(
        status.members == 1 && status.credentials == 1 && status.requests == 5,
        "{status:?}"
    );
    let shown = node.read(&["status"])?;
    ensure!(shown.out.contains("Gateway: 127.0.0.1:"), "{}", shown.out);
    // With the member everything goes, and a member of the same name begins with nothing.
    node.run(&["member", "remove", "acme"])?.ends(0)?;
    ensure!(!is_admitted(&node, second)?);
    add(&node, "acme")?;
    ensure!(!is_admitted(&node, second)?);
    ensure!(credential(&node, &["list", "acme"])?["credentials"] == serde_json::json!([]));
    Ok(())
}

#[test]
fn what_cannot_be_issued_is_refused_with_its_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = serving(folder.path())?;
    let run = |args: &[&str]| node.run(&[&["member", "credential"][..], args].concat());
    run(&["issue", "nobody"])?.refuses(1, &["no member nobody"])?;
    run(&["issue", "acme", "--expires", "0"])?.refuses(2, &["at least one"])?;
    run(&["issue", "acme", "--expires", "99999"])?.refuses(2, &["within"])?;
    run(&["revoke", "acme"])?.refuses(1, &["no such credential"])?;
    run(&["rotate", "acme"])?.refuses(1, &["no such credential"])?;
    ensure!(run(&["issue", "acme", "--network", "here"])?.code == 2);
    for _ in 0..16 {
        run(&["issue", "acme"])?.ends(0)?;
    }
    run(&["issue", "acme"])?.refuses(1, &["at most 16"])?;
    Ok(())
}

#[test]
fn the_description_that_is_served_is_the_one_that_is_written_and_names_every_path() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = serving(folder.path())?;
    ensure!(ask(&node, "/v1/health", None)?.body["status"] == "ok");
    let served = ask(&node, "/v1/openapi.json", None)?.body;
    let file = folder.path().join("openapi.json");
    let out = file.display().to_string();
    node.run(&["gateway", "openapi", "--out", &out])?.ends(0)?;
    let written: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    ensure!(served == written);
    let paths = written["paths"].as_object().context("no paths")?;
    for path in [
        "/v1/subset",
        "/v1/subset/snapshot",
        "/v1/subset/changes",
        "/v1/ack",
        "/v1/feedback",
        "/v1/feedback/{id}",
        "/v1/lookup",
        "/v1/health",
    ] {
        ensure!(paths.contains_key(path), "{path}");
    }
    // What asks for a credential says so.
    ensure!(written["paths"]["/v1/ack"]["post"]["security"][0].is_object());
    ensure!(written["paths"]["/v1/health"]["get"]["security"].is_null());
    Ok(())
}

#[test]
fn a_gateway_in_the_open_without_a_certificate_does_not_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = Node::init(folder.path(), "eu", Over::Tcp)?;
    Network::found(folder.path(), &[&node])?;
    node.configure("[gateway]\nlisten = \"0.0.0.0:0\"\n")?;
    node.spawn(&[])?;
    let status = until("the node ends", || node.ended())?;
    ensure!(status.code() == Some(2), "{status}");
    ensure!(node.log()?.contains("open to others"), "{}", node.log()?);
    Ok(())
}

#[test]
fn what_a_member_never_had_it_can_neither_vote_on_nor_ask_after() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = serving(folder.path())?;
    let token = token(&node, &[])?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let url = format!("http://{}/v1/feedback", address(&node)?);
    let vote = |body: &str| -> Result<u16> {
        let request = agent
            .post(&url)
            .header("Authorization", format!("Bearer {token}"));
        Ok(request.send(body)?.status().as_u16())
    };
    let entry = "0".repeat(32);
    let said = |vote: &str| {
        format!(
            "{{\"origin\":\"eu.example/eu/1\",\"entry\":\"{entry}\",\"rev\":1,\"vote\":{vote}}}"
        )
    };
    let absent = vote(&said("\"affirmative\""))?;
    ensure!([403, 404, 503].contains(&absent), "{absent}");
    for wrong in [
        "\"perhaps\"",
        "\"negative\"",
        "\"affirmative\",\"reason\":\"adult\"",
        "1",
    ] {
        ensure!(vote(&said(wrong))? == 400, "{wrong}");
    }
    let fate = format!("/v1/feedback/{}", "ab".repeat(32));
    ensure!(ask(&node, &fate, Some(&token))?.status == 404);
    ensure!(ask(&node, "/v1/feedback/zz", Some(&token))?.status == 404);
    Ok(())
}
