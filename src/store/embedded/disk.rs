//! The one table `revision -> record`, and the transactions on it.

use std::io::ErrorKind;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, StorageError, TableDefinition, TableError, TableHandle};

use super::OpenError;
use super::medium::Medium;
use super::record::{Meta, Record};

/// The opened database.
#[derive(Clone)]
pub(super) struct Disk {
    database: Arc<Database>,
}

/// A consistent look at the table.
pub(super) struct Look {
    transaction: ReadTransaction,
}

/// A transaction that failed.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fate: Fate,
    pub(super) full: bool,
    pub(super) message: String,
}

/// What became of a failed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It has not happened.
    Undone,
    /// It may be on the disk.
    Unknown,
}

impl Disk {
    /// Opens the medium and makes sure that it holds a log, a new one if it is empty.
    pub(super) fn open(medium: &Medium, cache: usize) -> Result<Self, OpenError> {
        // The database promises errors for damaged files but does not keep that promise everywhere.
        let disk = catch_unwind(AssertUnwindSafe(|| medium.open(cache)));
        let database = disk.unwrap_or_else(|_| Err(OpenError::Corrupt("the database cannot be read".to_owned())))?;
        let disk = Self { database: Arc::new(database) };
        if disk.look()?.is_empty()? {
            disk.write(&[], &[], Some(FIRST)).map_err(|failure| OpenError::Io(failure.message))?;
        }
        Ok(disk)
    }

    /// A look at what is committed now.
    pub(super) fn look(&self) -> Result<Look, OpenError> {
        let transaction = self.database.begin_read().map_err(|error| OpenError::Io(error.to_string()))?;
        Ok(Look { transaction })
    }

    /// Writes records, removes others and replaces the meta record, all or nothing, and returns when that is durable.
    pub(super) fn write(&self, records: &[(u64, Record)], removed: &[u64], meta: Option<Meta>) -> Result<(), Failure> {
        let transaction = self.database.begin_write().map_err(|error| Failure::new(error.into(), Fate::Undone))?;
        let fill = || -> Result<(), redb::Error> {
            let mut table = transaction.open_table(TABLE)?;
            for (revision, record) in records {
                record.write(*revision, table.insert_reserve(revision, record.len())?.as_mut());
            }
            for revision in removed {
                table.remove(revision)?;
            }
            if let Some(meta) = meta {
                table.insert(0, meta.write().as_slice())?;
            }
            Ok(())
        };
        fill().map_err(|error| Failure::new(error, Fate::Undone))?;
        transaction.commit().map_err(|error| Failure::new(error.into(), Fate::Unknown))
    }

    /// Whether nobody else holds the database, so that dropping this closes it.
    pub(super) fn is_last(&self) -> bool {
        Arc::strong_count(&self.database) == 1
    }
}

impl Look {
    /// The record of a revision.
    pub(super) fn record(&self, revision: u64) -> Result<Option<Record>, OpenError> {
        let table = self.transaction.open_table(TABLE)?;
        let Some(bytes) = table.get(revision)? else { return Ok(None) };
        Record::read(revision, bytes.value()).map(Some).ok_or_else(|| damaged(revision))
    }

    /// What record 0 and the last record say together.
    pub(super) fn meta(&self) -> Result<Meta, OpenError> {
        let table = self.transaction.open_table(TABLE)?;
        let Some(bytes) = table.get(0)? else { return Err(damaged(0)) };
        let meta = Meta::read(bytes.value()).ok_or_else(|| damaged(0))?;
        let last = table.last()?.map_or(0, |(revision, _)| revision.value());
        Ok(Meta { revision: meta.revision.max(last), ..meta })
    }

    /// Visits all records in the order of their revisions.
    pub(super) fn each(&self, mut visit: impl FnMut(u64, Record)) -> Result<(), OpenError> {
        self.range(1..=u64::MAX, |revision, record| {
            visit(revision, record);
            Ok(())
        })
    }

    fn range(
        &self,
        revisions: RangeInclusive<u64>,
        mut visit: impl FnMut(u64, Record) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let table = self.transaction.open_table(TABLE)?;
        for row in table.range(revisions)? {
            let (revision, bytes) = row?;
            let revision = revision.value();
            visit(revision, Record::read(revision, bytes.value()).ok_or_else(|| damaged(revision))?)?;
        }
        Ok(())
    }

    /// Whether there is nothing at all. A database with other tables is not ours.
    fn is_empty(&self) -> Result<bool, OpenError> {
        let tables: Vec<_> = self.transaction.list_tables()?.collect();
        match tables.as_slice() {
            [] => Ok(true),
            tables if tables.iter().any(|table| table.name() == TABLE.name()) => Ok(false),
            _ => Err(OpenError::Foreign),
        }
    }
}

impl Failure {
    fn new(error: redb::Error, fate: Fate) -> Self {
        let full = match &error {
            redb::Error::Io(error) => {
                matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
            }
            _ => false,
        };
        Self { fate, full, message: error.to_string() }
    }
}

impl From<redb::DatabaseError> for OpenError {
    fn from(error: redb::DatabaseError) -> Self {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen | redb::DatabaseError::LockProtocolMismatch => Self::InUse,
            redb::DatabaseError::Storage(error) => error.into(),
            redb::DatabaseError::UpgradeRequired(version) => Self::Corrupt(format!("file format {version} is too old")),
            error => Self::Io(error.to_string()),
        }
    }
}

impl From<StorageError> for OpenError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(message) => Self::Corrupt(message),
            StorageError::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
                Self::Corrupt(error.to_string())
            }
            error => Self::Io(error.to_string()),
        }
    }
}

impl From<TableError> for OpenError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            _ => Self::Foreign,
        }
    }
}

fn damaged(revision: u64) -> OpenError {
    OpenError::Corrupt(format!("record {revision} is damaged"))
}

const TABLE: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("portcullis.log");

/// An empty log is at revision 1, as an empty etcd is: 0 means something else to clients.
const FIRST: Meta = Meta { revision: 1, compacted: 1 };
