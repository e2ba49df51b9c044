//! How a centre that is on a roster enrols again.

use hashpact_keys::enrolment::Enrolment;
use hashpact_keys::{KeyUse, Signer, Timestamp};

type Tested = Result<(), Box<dyn std::error::Error>>;

fn enrolment(seed: u8, address: &str) -> Result<Enrolment, Box<dyn std::error::Error>> {
    let delta = Signer::from_seed(&[seed; 32]);
    let log = Signer::from_seed(&[9; 32]);
    let keys = [(KeyUse::Delta, &delta), (KeyUse::Log, &log)];
    let addresses = vec![address.to_owned()];
    let (id, origin) = ("eu".parse()?, "eu.example/eu/1".parse()?);
    let signed = Enrolment::sign(id, "EU".parse()?, origin, addresses, &keys)?;
    Ok(Enrolment::open(&signed)?)
}

#[test]
fn what_a_replaced_key_signed_stays_valid() -> Tested {
    let (then, now) = (Timestamp::new(1_000), Timestamp::new(5_000));
    let entry = enrolment(1, "/ip4/192.0.2.1/tcp/1")?.centre_entry(then, None);
    let renewed = enrolment(2, "/ip4/192.0.2.2/tcp/1")?.renew(&entry, now);
    assert_eq!(renewed.addresses, ["/ip4/192.0.2.2/tcp/1"]);
    let (old, new) = (
        Signer::from_seed(&[1; 32]).public(),
        Signer::from_seed(&[2; 32]).public(),
    );
    let valid =
        |key: &hashpact_keys::PublicKey, at| renewed.key(KeyUse::Delta, key.key_id(), at).is_ok();
    assert!(valid(&old, Timestamp::new(4_999)) && !valid(&old, now));
    assert!(valid(&new, now) && !valid(&new, Timestamp::new(4_999)));
    Ok(())
}

#[test]
fn a_key_that_stays_keeps_its_beginning() -> Tested {
    let entry = enrolment(1, "/ip4/192.0.2.1/tcp/1")?.centre_entry(Timestamp::new(1_000), None);
    let renewed = enrolment(1, "/ip4/192.0.2.2/tcp/1")?.renew(&entry, Timestamp::new(5_000));
    assert_eq!(renewed.keys, entry.keys);
    Ok(())
}
