//! A backup that goes to two repositories from one read, while the place of one of them fails at one
//! operation after another: the other one has the whole backup, whatever happens.

use backstay_engine::pipeline::backup::{self, BackupOutcome, Outcome};
use backstay_engine::pipeline::verify::{self, Rung};
use backstay_tests::backups::{into, request, restored};
use backstay_tests::postgres::Server;
use futures_util::StreamExt as _;

use super::*;

const SMALL: &str = "small";
/// More than one pack, so that one is sent while rows are still read.
const LARGE: &str = "large";
/// Longer than a busy machine takes for one operation, and shorter than the slow one takes.
const PATIENCE: Duration = Duration::from_secs(5);
const STALL: Duration = Duration::from_secs(7);
/// Strikes of one fault; they are spread evenly over the operations.
const STRIKES: u64 = 5;

/// Two repositories, one of which will fail.
struct Two<'a> {
    server: &'a Server,
    database: &'static str,
    sound: Place,
    failing: Place,
}

type Ends = [Result<BackupOutcome>; 2];

impl<'a> Two<'a> {
    async fn new(server: &'a Server, database: &'static str) -> Self {
        Self {
            server,
            database,
            sound: Place::new().await,
            failing: Place::new().await,
        }
    }

    /// Backs the database up into both; what became of it in the sound one, and in the other.
    async fn back_up(&self, failing: Repository) -> Ends {
        let named = [
            ("sound", self.sound.open().await.unwrap()),
            ("failing", failing),
        ];
        let places = named.map(|(name, repository)| {
            self.sound.clock.advance(Duration::from_secs(1));
            self.failing.clock.advance(Duration::from_secs(1));
            backup::Place {
                repository,
                name: name.to_owned(),
                id: BackupId::generate(self.sound.clock.now()),
                writer_name: "test".to_owned(),
                base: None,
                run_facts: serde_json::Value::Null,
            }
        });
        let request = request(self.server, self.database);
        let task = self.sound.task();
        let run = backup::run_into(places.into(), &request, Some(PATIENCE), &task);
        let mut ends = run.await.unwrap();
        assert_eq!(ends.len(), 2);
        ends.sort_by_key(|(place, _)| place.name != "sound");
        let mut ends = ends.into_iter().map(|(_, end)| end);
        [ends.next().unwrap(), ends.next().unwrap()]
    }

    /// That a backup is whole, by reading all of it.
    async fn holds(&self, place: &Place, outcome: &BackupOutcome, case: &str) {
        assert_eq!(
            (outcome.status, &outcome.losses[..]),
            (Outcome::Success, &[][..])
        );
        let repository = place.open().await.unwrap();
        let id = outcome.snapshot.id;
        let report = verify::run(&repository, id, Rung::Decoded, 2, &place.task()).await;
        let report = report.unwrap();
        assert_eq!(report.reached, Some(Rung::Decoded), "{case}: {report:?}");
    }

    /// That a backup of the sound repository is restored, each table proved.
    async fn restores(&self, outcome: &BackupOutcome, case: &str) {
        let repository = self.sound.open().await.unwrap();
        let id = outcome.snapshot.id;
        let database = format!("back_{}", id.ulid().to_lowercase());
        let options = into(&database);
        let done = restored(&repository, id, self.server, &options, &self.sound.task()).await;
        let done = done.unwrap_or_else(|error| panic!("{case}: {}", error.report()));
        assert_eq!(
            (done.status, done.proved_tables),
            (Outcome::Success, 2),
            "{case}"
        );
        self.server
            .sql("postgres", &format!("DROP DATABASE {database}"));
    }

    /// The failed repository is as sound as before but for what was torn, and works on.
    async fn recovered(&self, torn: Option<&str>, case: &str) {
        let failing = self.failing.open().await.unwrap();
        let report = check(&failing, &self.failing).await.unwrap();
        for problem in &report.problems {
            assert_eq!(Some(&*problem.object), torn, "{case}: {problem:?}");
        }
        let ends = self.back_up(failing).await;
        for (place, end) in [&self.sound, &self.failing].into_iter().zip(ends) {
            let outcome = end.unwrap_or_else(|error| panic!("{case}: {}", error.report()));
            self.holds(place, &outcome, &format!("{case}, the next"))
                .await;
        }
        let Some(torn) = torn else { return };
        // Half an object is mended, or goes when its time is over.
        self.failing.wait_hours(50);
        let task = self.failing.task();
        let failing = self.failing.open().await.unwrap();
        failing.repair(true, &task).await.unwrap();
        if let Some(id) = torn.strip_prefix("snapshots/") {
            let deleted = failing.delete_backup(id.parse().unwrap(), "test", "", Duration::ZERO);
            deleted.await.unwrap();
        }
        failing.prune(&merging("test"), &task).await.unwrap();
        let report = check(&failing, &self.failing).await.unwrap();
        assert!(report.is_clean(), "{case}: {:?}", report.problems);
    }
}

/// Lets the fault happen at that operation of the backup, counted from when the repository is open; whether
/// the repository was given up, and how many operations there were.
async fn strike(two: Two<'_>, fault: Fault, at: u64) -> (bool, u64) {
    let case = format!("{}, {fault:?} at operation {at}", two.database);
    let inner = || Arc::clone(&two.failing.storage) as Arc<dyn Storage>;
    let through = |faulty: &Arc<Faulty>| Arc::clone(faulty) as Arc<dyn Storage>;
    let key = &two.failing.key;
    let opening = Arc::new(Faulty::new(inner(), fault, u64::MAX));
    let opened = two.failing.open_through(through(&opening), key).await;
    drop(opened.unwrap());
    let opening = opening.operations();
    let faulty = Arc::new(Faulty::new(inner(), fault, opening + at));
    let failing = two.failing.open_through(through(&faulty), key).await;
    let [sound, failing] = two.back_up(failing.unwrap()).await;
    let operations = faulty.operations() - opening;
    let sound = sound.unwrap_or_else(|error| panic!("{case}: {}", error.report()));
    two.holds(&two.sound, &sound, &case).await;
    if at == 1 {
        two.restores(&sound, &case).await;
    }
    let failed = failing.is_err();
    if let Ok(outcome) = failing {
        two.holds(&two.failing, &outcome, &case).await;
    }
    two.recovered(faulty.torn_key().as_deref(), &case).await;
    (failed, operations)
}

/// Strikes with one fault all over a backup of so many operations.
async fn strike_all_over(
    server: &Server,
    (database, operations): (&'static str, u64),
    fault: Fault,
    strikes: u64,
) {
    let points = (0..strikes).map(|number| 1 + number * (operations - 1) / (strikes - 1));
    let struck = futures_util::stream::iter(points)
        .map(async |at| strike(Two::new(server, database).await, fault, at).await.0)
        .buffer_unordered(STRIKES as usize);
    let failed = struck
        .filter(|failed| std::future::ready(*failed))
        .count()
        .await;
    println!("{database}, {fault:?}: {failed} of {strikes} failed, {operations} operations");
    assert!(failed > 0, "{fault:?} never came to anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_fails_takes_nothing_from_the_other_one() {
    let server = &Server::start(15);
    for (database, rows) in [(SMALL, 2000), (LARGE, 150_000)] {
        server.create_database(database);
        server.sql(
            database,
            &format!(
                "CREATE TABLE notes (id int PRIMARY KEY, note text);
                 INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 1000) n;
                 CREATE TABLE noise AS SELECT n AS id,
                     md5(n::text) || md5(n || 'a') || md5(n || 'b') || md5(n || 'c') AS noise
                 FROM generate_series(1, {rows}) n"
            ),
        );
    }
    let two = Two::new(server, SMALL).await;
    let (failed, operations) = strike(two, Fault::Fail, u64::from(u32::MAX)).await;
    assert!(!failed && operations > 8, "{operations} operations");
    for fault in [
        Fault::Delay(STALL),
        Fault::Fail,
        Fault::Tear,
        Fault::LostAnswer,
        Fault::Crash,
        Fault::Full,
    ] {
        strike_all_over(server, (SMALL, operations), fault, STRIKES).await;
    }
    strike_all_over(server, (LARGE, operations), Fault::Tear, 3).await;
}
