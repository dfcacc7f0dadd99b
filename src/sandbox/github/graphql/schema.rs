//! GitHub's GraphQL schema, as far as we serve it, looked up by name.

use std::collections::HashMap;
use std::sync::OnceLock;

use async_graphql_parser::parse_schema;
use async_graphql_parser::types::{
    BaseType, FieldDefinition, Type, TypeDefinition, TypeKind, TypeSystemDefinition,
};

/// The text beside this file.
const TEXT: &str = include_str!("schema.graphql");

pub(super) struct Schema {
    types: HashMap<String, Kind>,
}

/// A type by what can be asked of it.
#[derive(Default)]
pub(super) struct Kind {
    /// Empty for scalars, enums and inputs.
    pub(super) fields: HashMap<String, Field>,
    implements: Vec<String>,
}

pub(super) struct Field {
    pub(super) result: Type,
    pub(super) arguments: HashMap<String, Argument>,
}

pub(super) struct Argument {
    pub(super) required: bool,
}

impl Field {
    /// The innermost type's name.
    pub(super) fn type_name(&self) -> &str {
        innermost(&self.result)
    }

    pub(super) fn is_connection(&self) -> bool {
        self.type_name().ends_with("Connection")
    }
}

fn innermost(one: &Type) -> &str {
    match &one.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => innermost(inner),
    }
}

/// The schema, parsed once.
pub(super) fn schema() -> &'static Schema {
    static PARSED: OnceLock<Schema> = OnceLock::new();
    PARSED.get_or_init(|| {
        let document = parse_schema(TEXT).expect("the schema beside this file is valid");
        let types = document
            .definitions
            .into_iter()
            .filter_map(|definition| match definition {
                TypeSystemDefinition::Type(one) => Some(kind(one.node)),
                TypeSystemDefinition::Schema(_) | TypeSystemDefinition::Directive(_) => None,
            })
            .collect();
        Schema { types }
    })
}

fn kind(definition: TypeDefinition) -> (String, Kind) {
    let (fields, implements) = match definition.kind {
        TypeKind::Object(object) => (object.fields, object.implements),
        TypeKind::Interface(interface) => (interface.fields, interface.implements),
        _ => (Vec::new(), Vec::new()),
    };
    let kind = Kind {
        fields: fields.into_iter().map(|one| field(one.node)).collect(),
        implements: implements
            .into_iter()
            .map(|name| name.node.to_string())
            .collect(),
    };
    (definition.name.node.to_string(), kind)
}

fn field(definition: FieldDefinition) -> (String, Field) {
    let arguments = definition
        .arguments
        .into_iter()
        .map(|one| {
            let required = !one.node.ty.node.nullable && one.node.default_value.is_none();
            (one.node.name.node.to_string(), Argument { required })
        })
        .collect();
    let result = definition.ty.node;
    (
        definition.name.node.to_string(),
        Field { result, arguments },
    )
}

impl Schema {
    pub(super) fn kind(&self, name: &str) -> Option<&Kind> {
        self.types.get(name)
    }

    pub(super) fn field(&self, kind: &str, name: &str) -> Option<&Field> {
        self.types.get(kind)?.fields.get(name)
    }

    /// Whether an object of the type `concrete` passes for `wanted`.
    pub(super) fn is_a(&self, concrete: &str, wanted: &str) -> bool {
        concrete == wanted
            || self
                .types
                .get(concrete)
                .is_some_and(|kind| kind.implements.iter().any(|one| one == wanted))
    }
}
