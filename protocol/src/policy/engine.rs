//! The bridge to Cedar: schema, entities and requests.
//!
//! Why: everything that a policy looks at is built here, against the schema, so that what differs in a label differs for
//! a policy too. In scope: building and asking. Out of scope: which policies there are (`load`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression as Expr, Schema, validate_scope_variables,
};
use hashpact_keys::{Jurisdiction, Timestamp};

use super::facets::{self, Facets};
use super::query::{Action, ClassFacts, Decision, Principal};
use crate::assess::EntryFacts;
use crate::labels::{Labels, Purpose};
use crate::lists::{ClosedList, Set};

/// The text of the schema, version 1.
pub const SCHEMA: &str = include_str!("schema.cedarschema");

/// What is the same in every decision.
pub(super) struct Model {
    pub(super) schema: Schema,
    authorizer: Authorizer,
    centre: EntityTypeName,
    member: EntityTypeName,
    auditor: EntityTypeName,
    class: EntityTypeName,
    actions: [EntityUid; Action::VALUES.len()],
}

/// The model, made once.
pub(super) static MODEL: LazyLock<Model> = LazyLock::new(Model::make);

impl Model {
    #[expect(
        clippy::expect_used,
        reason = "constant texts, read in every test that decides anything"
    )]
    fn make() -> Self {
        let name = |text: &str| -> EntityTypeName { text.parse().expect("constant type name") };
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("constant schema");
        let action = name("Action");
        Self {
            schema,
            authorizer: Authorizer::new(),
            centre: name("Centre"),
            member: name("Member"),
            auditor: name("Auditor"),
            class: name("PolicyClass"),
            actions: std::array::from_fn(|bit| {
                let (_, text) = Action::VALUES[bit];
                EntityUid::from_type_name_and_id(action.clone(), EntityId::new(text))
            }),
        }
    }

    pub(super) fn action(&self, action: Action) -> &EntityUid {
        &self.actions[usize::from(action.bit())]
    }
}

/// Something went wrong while a question was put to Cedar. It denies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EngineError(String);

impl EngineError {
    pub(crate) fn nobody() -> Self {
        Self("there is no such principal or class".to_owned())
    }
}

fn said(error: impl std::fmt::Display) -> EngineError {
    EngineError(error.to_string())
}

/// Principals and classes, made once for many decisions about them.
pub struct Subjects {
    entities: Entities,
    principals: Vec<(Principal, EntityUid)>,
    classes: Vec<EntityUid>,
    /// What policies can look at of each class, by the name in the schema.
    facets: Vec<Facets>,
}

impl Subjects {
    /// Makes the entities, checked against the schema.
    ///
    /// # Errors
    /// [`EngineError`] if one principal or class occurs twice, with different facts.
    pub fn new<'a>(
        principals: impl IntoIterator<Item = &'a Principal>,
        classes: impl IntoIterator<Item = ClassFacts<'a>>,
    ) -> Result<Self, EngineError> {
        let mut entities = Vec::new();
        let mut made = Self {
            entities: Entities::empty(),
            principals: Vec::new(),
            classes: Vec::new(),
            facets: Vec::new(),
        };
        for principal in principals {
            let entity = principal_entity(principal)?;
            made.principals.push((principal.clone(), entity.uid()));
            entities.push(entity);
        }
        for class in classes {
            let entity = class_entity(class)?;
            made.classes.push(entity.uid());
            made.facets.push(facets::of(class));
            entities.push(entity);
        }
        made.entities = Entities::from_entities(entities, Some(&MODEL.schema)).map_err(said)?;
        Ok(made)
    }

    /// How many classes there are.
    pub(super) fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The principals, in the order in which they were given.
    pub(super) fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.principals.iter().map(|(principal, _)| principal)
    }

    /// The principal at this place.
    pub(super) fn principal(&self, index: usize) -> Result<&Principal, EngineError> {
        let found = self.principals.get(index);
        found
            .map(|(principal, _)| principal)
            .ok_or_else(EngineError::nobody)
    }

    fn uid(&self, index: usize) -> Result<&EntityUid, EngineError> {
        let found = self.principals.get(index);
        found.map(|(_, uid)| uid).ok_or_else(EngineError::nobody)
    }

    /// Of each class, the first one that has the same facets; each is its own if no facets are named.
    pub(super) fn alike(&self, facets: Option<&BTreeSet<String>>) -> Vec<usize> {
        let Some(names) = facets else {
            return (0..self.classes.len()).collect();
        };
        let mut first = BTreeMap::new();
        let classes = self.facets.iter().enumerate();
        let alike = classes.map(|(class, facets)| {
            let values = names.iter().map(|name| facets.get(name.as_str()));
            // A facet that is not known here makes every class its own.
            let Some(values) = values.collect::<Option<Vec<_>>>() else {
                return class;
            };
            *first.entry(values).or_insert(class)
        });
        alike.collect()
    }

    /// Whether the schema lets a principal of this type do this.
    pub(super) fn fit(&self, principal: usize, action: Action) -> bool {
        let (Ok(principal), Some(class)) = (self.uid(principal), self.classes.first()) else {
            return false;
        };
        validate_scope_variables(principal, MODEL.action(action), class, &MODEL.schema).is_ok()
    }
}

/// One question about every class of the subjects.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// What would be done.
    pub action: Action,
    /// With whom: index of the principal.
    pub principal: usize,
    /// As in [`Query`](super::Query).
    pub purpose: Purpose,
    /// As in [`Query`](super::Query).
    pub now: Timestamp,
    /// As in [`Query`](super::Query).
    pub entry: Option<EntryFacts>,
}

/// One question and all that it is about, for the `cedar` command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// JSON for `--entities`.
    pub entities: String,
    /// JSON for `--request-json`.
    pub request: String,
}

/// Writes a question about the one class of the subjects down. The same question gives the same text.
pub(super) fn replay(
    subjects: &Subjects,
    ask: &Ask,
    context: Context,
) -> Result<Replay, EngineError> {
    let entities = subjects.entities.to_json_value().map_err(said)?;
    // Cedar yields entities in hash order.
    let mut entities: Vec<_> = entities.as_array().into_iter().flatten().collect();
    entities.sort_by_cached_key(ToString::to_string);
    let uid = |uid: Option<&EntityUid>| uid.map(ToString::to_string);
    let principal = subjects.principals.get(ask.principal).map(|(_, uid)| uid);
    let request = serde_json::json!({
        "principal": uid(principal),
        "action": uid(Some(MODEL.action(ask.action))),
        "resource": uid(subjects.classes.first()),
        "context": context.to_json_value().map_err(said)?,
    });
    Ok(Replay {
        entities: serde_json::to_string_pretty(&entities).map_err(said)?,
        request: serde_json::to_string_pretty(&request).map_err(said)?,
    })
}

/// What some policies say to one question.
pub(super) struct Said {
    permits: bool,
    /// Ids of the forbids that fired, else of the permits that did.
    policies: Vec<String>,
    errors: Vec<String>,
}

impl Said {
    /// What they decide together: a forbid beats every permit, and an error denies, whatever else was said.
    pub(super) fn all(parts: &[&Self]) -> Decision {
        let forbidden = parts
            .iter()
            .any(|part| !part.permits && !part.policies.is_empty());
        let determining = parts.iter().filter(|part| part.permits != forbidden);
        let mut policies: Vec<String> = determining
            .flat_map(|part| part.policies.iter().cloned())
            .collect();
        policies.sort_unstable();
        let mut errors: Vec<String> = parts
            .iter()
            .flat_map(|part| part.errors.iter().cloned())
            .collect();
        errors.sort_unstable();
        let permitted = parts.iter().any(|part| part.permits);
        Decision {
            allowed: permitted && !forbidden && errors.is_empty(),
            policies,
            valid_until: None,
            errors,
        }
    }
}

/// Checks against the schema what is the same for every class: they are of one type.
pub(super) fn check(
    subjects: &Subjects,
    principal: usize,
    action: Action,
    context: &Context,
) -> Result<(), EngineError> {
    let action = MODEL.action(action);
    if let Some(class) = subjects.classes.first() {
        let principal = subjects.uid(principal)?;
        validate_scope_variables(principal, action, class, &MODEL.schema).map_err(said)?;
    }
    context.validate(&MODEL.schema, action).map_err(said)
}

/// Evaluates policies for one principal, action and class, of which the schema was asked before.
pub(super) fn ask(
    policies: &PolicySet,
    subjects: &Subjects,
    (principal, action, class): (usize, Action, usize),
    context: &Context,
) -> Result<Said, EngineError> {
    let principal = subjects.uid(principal)?.clone();
    let action = MODEL.action(action).clone();
    let class = subjects
        .classes
        .get(class)
        .ok_or_else(EngineError::nobody)?;
    let request = Request::new(principal, action, class.clone(), context.clone(), None);
    let response =
        MODEL
            .authorizer
            .is_authorized(&request.map_err(said)?, policies, &subjects.entities);
    let diagnostics = response.diagnostics();
    let name = |id: &PolicyId| AsRef::<str>::as_ref(id).to_owned();
    Ok(Said {
        permits: response.decision() == cedar_policy::Decision::Allow,
        policies: diagnostics.reason().map(name).collect(),
        errors: diagnostics.errors().map(ToString::to_string).collect(),
    })
}

/// The context of a request. `now` is for the record: no condition reads it.
pub(super) fn context<'a>(
    ask: &Ask,
    bases: impl Iterator<Item = &'a str>,
) -> Result<Context, EngineError> {
    let now = i64::try_from(ask.now.get()).map_err(said)?;
    let mut pairs = vec![
        pair("purpose", text(ask.purpose.name())),
        pair("bases", texts(bases)),
        pair("now", Expr::new_long(now)),
    ];
    if let Some(entry) = ask.entry {
        let facts = Expr::new_record([
            pair("state", text(entry.state.name())),
            pair("quorum", Expr::new_bool(entry.quorum)),
            pair("baseline", Expr::new_bool(entry.baseline)),
            pair("hold", Expr::new_bool(entry.hold)),
        ]);
        pairs.push(pair("entry", facts.map_err(said)?));
    }
    Context::from_pairs(pairs).map_err(said)
}

fn principal_entity(principal: &Principal) -> Result<Entity, EngineError> {
    let (type_name, sector) = match principal {
        Principal::Centre { .. } => (&MODEL.centre, None),
        Principal::Member { sector, .. } => (&MODEL.member, Some(sector)),
        Principal::Auditor { .. } => (&MODEL.auditor, None),
    };
    let mut attributes = vec![
        pair("id", text(principal.id())),
        pair("jurisdiction", text(principal.jurisdiction().as_str())),
    ];
    attributes.extend(sector.map(|sector| pair("sector", text(sector))));
    entity(type_name, principal.id(), attributes)
}

fn class_entity(class: ClassFacts<'_>) -> Result<Entity, EngineError> {
    // A label that could be nothing would meet every condition on all that it could be.
    class.labels.check().map_err(said)?;
    let Labels {
        media_kind,
        content_class,
        state,
        depiction,
        minor_certain,
        age_claim,
        self_generated,
        context_flags,
        legal_basis,
        legal_status,
        residency,
        applicable_law,
        tlp,
        hops,
        recipients,
        purposes,
    } = class.labels;
    let maybe = Expr::new_record([
        pair("media_kind", names(*media_kind)),
        pair("content_class", names(*content_class)),
        pair("depiction", names(*depiction)),
        pair("age_claim", names(*age_claim)),
        pair("self_generated", names(*self_generated)),
    ]);
    let granted = Expr::new_record([
        pair("purposes", names(*purposes)),
        pair("recipients", names(*recipients)),
        pair("residency", codes(residency.iter())),
    ]);
    let stated = |illegal: bool| {
        let those = legal_status
            .iter()
            .filter(move |status| status.illegal == illegal);
        codes(those.map(|status| &status.jurisdiction))
    };
    let attributes = vec![
        pair("origin", text(class.origin.as_str())),
        pair("jurisdiction", text(class.jurisdiction.as_str())),
        pair("state", text(state.name())),
        pair("minor_certain", Expr::new_bool(*minor_certain)),
        pair("legal_basis", text(legal_basis.name())),
        pair("tlp", text(tlp.name())),
        pair("hops", Expr::new_long(i64::from(*hops))),
        pair("context_flags", names(*context_flags)),
        pair("illegal_in", stated(true)),
        pair("not_illegal_in", stated(false)),
        pair("applicable_law", codes(applicable_law.iter())),
        pair("maybe", maybe.map_err(said)?),
        pair("granted", granted.map_err(said)?),
    ];
    let id = format!("{}/{}", class.origin, class.class);
    entity(&MODEL.class, &id, attributes)
}

fn entity(
    type_name: &EntityTypeName,
    id: &str,
    attributes: Vec<(String, Expr)>,
) -> Result<Entity, EngineError> {
    let uid = EntityUid::from_type_name_and_id(type_name.clone(), EntityId::new(id));
    // Cedar asks for hash maps; nothing iterates them here.
    Entity::new(uid, attributes.into_iter().collect(), Default::default()).map_err(said)
}

fn pair(key: &str, value: Expr) -> (String, Expr) {
    (key.to_owned(), value)
}

fn text(text: &str) -> Expr {
    Expr::new_string(text.to_owned())
}

fn texts<'a>(list: impl Iterator<Item = &'a str>) -> Expr {
    Expr::new_set(list.map(text))
}

fn names<T: ClosedList>(set: Set<T>) -> Expr {
    texts(set.names())
}

fn codes<'a>(list: impl Iterator<Item = &'a Jurisdiction>) -> Expr {
    texts(list.map(Jurisdiction::as_str))
}
