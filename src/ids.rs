//! One id type per noun. UUIDv7, so ids sort by time.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, sqlx::Type, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl $name {
            #[allow(clippy::new_without_default)] // creating an id is explicit
            pub fn new() -> Self {
                Self(crate::clock::id())
            }

            /// An id with the timestamp `time`.
            pub fn at(time: chrono::DateTime<chrono::Utc>) -> Self {
                let seconds = time.timestamp().try_into().unwrap_or(0);
                let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, time.timestamp_subsec_nanos());
                Self(uuid::Uuid::new_v7(time))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    UserId,
    SessionId,
    WorkspaceId,
    IntegrationId,
    NumberId,
    ContactId,
    ConversationId,
    MessageId,
    MediaId,
    InvitationId,
    EntryId,
    AuditId,
    WebhookId,
    QuarantineId,
    PushId,
    TemplateId,
    TagId,
    FieldId,
    ImportId,
    ActivityId,
    ViewId,
}
