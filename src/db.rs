//! Access to the database. Requests of a member use a `WorkspaceTx`, where row-level security limits rows to what that
//! member may see in one workspace; everything else uses a `SystemTx` and names its purpose.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, Postgres, Transaction};

use crate::clock;
use crate::error::{Error, Result};
use crate::events::{Bus, Event};
use crate::ids::{UserId, WorkspaceId};

pub mod embedded;
mod functions;
pub mod migrate;
pub mod purpose;
mod shares;

use purpose::{Receive, Setup, SystemPurpose};
use shares::{Share, Shares};

/// Connections reserved for storing webhooks, so that nothing else delays a provider: one per writer of texts and of
/// status reports, and a spare.
const INGEST_CONNECTIONS: u32 = 7;

/// How long a request waits for a connection. Providers time out within seconds and retry.
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);
const INGEST_TIMEOUT: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Writable,
    /// A standby, or `default_transaction_read_only` is on.
    ReadOnly,
    Unreachable,
}

#[derive(Clone)]
pub struct Db {
    people: PgPool,
    system: PgPool,
    ingest: PgPool,
    shares: Shares,
    bus: Bus,
}

/// The cost class of a request: its statement timeout, and its workspace's share of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// A page, a form, one row.
    Short,
    /// A search, a large list, statistics: few at a time per workspace.
    Heavy,
    /// Heavy, and proportional to the size of the workspace.
    Export,
}

impl Load {
    fn statement_timeout(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(15),
            Self::Heavy => Duration::from_secs(5),
            Self::Export => Duration::from_secs(120),
        }
    }
}

/// The member and workspace whose rights a `WorkspaceTx` has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantContext {
    pub workspace: WorkspaceId,
    pub user: UserId,
    /// The client's address, for the audit log.
    pub address: Option<IpAddr>,
}

impl TenantContext {
    /// The statements that set it for a transaction. Safe to interpolate: two UUIDs and a parsed IP address.
    fn settings(&self) -> String {
        let mut settings = format!(
            "set local app.workspace_id = '{}'; set local app.user_id = '{}'",
            self.workspace, self.user
        );
        if let Some(address) = self.address {
            settings.push_str(&format!("; set local app.address = '{address}'"));
        }
        settings
    }
}

impl Db {
    /// Opens the pools. Fails if the members' role could bypass row-level security.
    pub async fn open(options: PgConnectOptions, connections: u32, bus: Bus) -> Result<Self> {
        let timeout = Load::Short.statement_timeout().as_millis();
        let people = format!("set role messagehub_people; set statement_timeout = {timeout}");
        let system = "set role messagehub_system";
        let db = Self {
            people: pool(options.clone(), connections, WAIT_TIMEOUT, people),
            system: pool(options.clone(), connections, WAIT_TIMEOUT, system.into()),
            ingest: pool(options, INGEST_CONNECTIONS, INGEST_TIMEOUT, system.into()),
            shares: Shares::of(connections),
            bus,
        };
        db.check_role_is_restricted().await?;
        clock::measure(&db.system).await?;
        Ok(db)
    }

    /// A transaction with the rights of `tenant`. Opening it takes one round trip.
    pub async fn workspace(&self, tenant: TenantContext) -> Result<WorkspaceTx> {
        self.workspace_for(tenant, Load::Short).await
    }

    /// The same with the limits of `load`. Waits while the workspace uses its share of the connections.
    pub async fn workspace_for(&self, tenant: TenantContext, load: Load) -> Result<WorkspaceTx> {
        let share = self.shares.take(tenant.workspace, load).await?;
        let mut begin = format!("begin; {}", tenant.settings());
        if load != Load::Short {
            let timeout = load.statement_timeout().as_millis();
            begin.push_str(&format!("; set local statement_timeout = {timeout}"));
        }
        Ok(WorkspaceTx {
            tx: self.people.begin_with(AssertSqlSafe(begin)).await?,
            tenant,
            announced: Announced::new(&self.bus),
            _share: Some(share),
        })
    }

    /// A transaction without a member.
    pub async fn system<P: SystemPurpose>(&self, _: P) -> Result<SystemTx<P>> {
        SystemTx::begin(&self.system, &self.bus).await
    }

    /// A transaction that stores provider data, on reserved connections.
    pub async fn ingest(&self) -> Result<SystemTx<Receive>> {
        SystemTx::begin(&self.ingest, &self.bus).await
    }

    /// The system role's pool, for single statements without a transaction: one round trip.
    pub fn system_pool<P: SystemPurpose>(&self, _: P) -> &PgPool {
        &self.system
    }

    /// The same on the reserved connections.
    pub fn ingest_pool(&self) -> &PgPool {
        &self.ingest
    }

    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    pub async fn readiness(&self) -> Readiness {
        let is_writable = sqlx::query_scalar::<_, bool>(
            "select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off'",
        );
        match is_writable.fetch_one(&self.system).await {
            Ok(true) => Readiness::Writable,
            Ok(false) => Readiness::ReadOnly,
            Err(_) => Readiness::Unreachable,
        }
    }

    pub async fn close(&self) {
        tokio::join!(
            self.people.close(),
            self.system.close(),
            self.ingest.close()
        );
    }

    async fn check_role_is_restricted(&self) -> Result<()> {
        let bypasses: bool = sqlx::query_scalar(
            "select rolsuper or rolbypassrls
                 or exists (select from pg_class c where c.relowner = r.oid)
               from pg_roles r
              where rolname = current_user",
        )
        .fetch_one(&self.people)
        .await?;
        if bypasses {
            return Err(Error::Internal(
                "the role messagehub_people owns tables or bypasses row-level security: \
                 run `alter role messagehub_people nosuperuser nobypassrls` and give its tables to another role"
                    .into(),
            ));
        }
        Ok(())
    }
}

fn pool(
    options: PgConnectOptions,
    connections: u32,
    acquire_timeout: Duration,
    settings: String,
) -> PgPool {
    let settings: Arc<str> = settings.into();
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(acquire_timeout)
        .after_connect(move |conn, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move {
                sqlx::raw_sql(AssertSqlSafe(&*settings))
                    .execute(&mut *conn)
                    .await?;
                Ok(())
            })
        })
        // An idle connection may have missed a database restart; under load none is idle, and the ping costs nothing.
        .test_before_acquire(false)
        .before_acquire(|conn, meta| {
            Box::pin(async move {
                if meta.idle_for > Duration::from_millis(100) {
                    conn.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_lazy_with(options)
}

struct Announced {
    events: Vec<Event>,
    bus: Bus,
}

impl Announced {
    fn new(bus: &Bus) -> Self {
        Self {
            events: Vec::new(),
            bus: bus.clone(),
        }
    }

    fn publish(self) {
        for event in self.events {
            self.bus.publish(event);
        }
    }
}

/// A transaction with a member's rights. Dropped without `commit`, it rolls back.
pub struct WorkspaceTx {
    tx: Transaction<'static, Postgres>,
    tenant: TenantContext,
    announced: Announced,
    _share: Option<Share>,
}

impl WorkspaceTx {
    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub fn workspace(&self) -> WorkspaceId {
        self.tenant.workspace
    }

    pub fn user(&self) -> UserId {
        self.tenant.user
    }

    /// Publishes `event` after the commit; a rollback drops it.
    pub fn announce(&mut self, event: Event) {
        self.announced.events.push(event);
    }

    /// Continues as the system role, for a verb that writes what no member may write. Whether this member may call it
    /// is checked before, or by a function that knows the user of the transaction. One round trip.
    pub async fn with_system_rights<P: SystemPurpose>(mut self, _: P) -> Result<SystemTx<P>> {
        sqlx::raw_sql("set local role messagehub_system")
            .execute(&mut *self.tx)
            .await?;
        Ok(SystemTx {
            tx: self.tx,
            announced: self.announced,
            _share: self._share,
            purpose: PhantomData,
        })
    }

    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await?;
        self.announced.publish();
        Ok(())
    }
}

/// A transaction without a member. Its role sees all tenants, so each statement must name its workspace.
pub struct SystemTx<P: SystemPurpose> {
    tx: Transaction<'static, Postgres>,
    announced: Announced,
    _share: Option<Share>,
    purpose: PhantomData<P>,
}

impl<P: SystemPurpose> SystemTx<P> {
    async fn begin(pool: &PgPool, bus: &Bus) -> Result<Self> {
        Ok(Self {
            tx: pool.begin().await?,
            announced: Announced::new(bus),
            _share: None,
            purpose: PhantomData,
        })
    }

    pub fn conn(&mut self) -> &mut PgConnection {
        &mut self.tx
    }

    pub fn announce(&mut self, event: Event) {
        self.announced.events.push(event);
    }

    pub async fn commit(self) -> Result<()> {
        self.tx.commit().await?;
        self.announced.publish();
        Ok(())
    }
}

impl SystemTx<Setup> {
    /// Continues the transaction with the rights of `tenant`, for good: a seed is then filled by the same verbs that
    /// people use.
    pub async fn into_workspace(mut self, tenant: TenantContext) -> Result<WorkspaceTx> {
        let settings = format!("set local role messagehub_people; {}", tenant.settings());
        sqlx::raw_sql(AssertSqlSafe(settings))
            .execute(self.conn())
            .await?;
        Ok(WorkspaceTx {
            tx: self.tx,
            tenant,
            announced: self.announced,
            _share: self._share,
        })
    }
}
