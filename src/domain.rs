//! Nouns and verbs of the product. Imports point to the left:
//! audit ← members ← workspaces ← credits, numbers, contacts ← accounts, settings ← invitations, conversations
//! ← templates ← messages ← drafts, search.

pub mod accounts;
pub mod audit;
pub mod contacts;
pub mod conversations;
pub mod credits;
pub mod drafts;
pub mod inbox;
pub mod integrations;
pub mod invitations;
pub mod keys;
pub mod media;
pub mod members;
pub mod messages;
pub mod numbers;
pub mod opt_outs;
pub mod pushes;
pub mod quarantine;
pub mod search;
pub mod settings;
pub mod templates;
pub mod usage;
pub mod webhooks;
pub mod workspaces;

/// An enum with the same string in the database, in JSON and in pages.
macro_rules! string_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, sqlx::Type, utoipa::ToSchema,
        )]
        $(#[$doc])*
        #[serde(rename_all = "snake_case")]
        #[sqlx(type_name = "text", rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("expected one of: {}", [$($text),+].join(", "))),
                }
            }
        }
    };
}
pub(crate) use string_enum;
