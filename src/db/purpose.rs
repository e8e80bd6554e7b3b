//! Why the system role reads or writes rows of any workspace. Each use names one, so that signatures show it;
//! `docs/ARCHITECTURE.md` counts them, and a test compares.

/// A purpose of system access.
pub trait SystemPurpose: Send + 'static {}

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        $($(#[$doc])* #[derive(Clone, Copy, Debug)] pub struct $name; impl SystemPurpose for $name {})+
    };
}

purposes! {
    /// Accounts, sessions and invitations; which workspaces a person may enter.
    SignIn,
    /// What providers' webhooks bring: texts, status reports, quarantined calls.
    Receive,
    /// Sends texts, resolves their outcomes, hands out their files.
    Delivery,
    /// Fetches from providers: files, missed texts, charges.
    Fetch,
    /// Opens and seals credentials; counts their uses.
    Credentials,
    /// Looks up what the live hub shows; it checks each reader's rights.
    Live,
    /// Recipients of emails and pushes.
    Notify,
    /// Timed work: scheduled texts, snoozes, imports, deletion of what has expired.
    Jobs,
    /// Merges and deletes contacts, after the member's right was checked.
    Contacts,
    /// Creates and deletes workspaces: the command line, the demo, an admin.
    Setup,
}
