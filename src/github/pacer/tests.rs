//! A made-up GitHub with a made-up clock: what is sent, and when.

use std::time::{Duration, Instant};

use super::{Account, Api, Deed, Errand, Heard, Next, Pacer, Refusal, Told, Urgency};

const ACME: Account = Account::Installation(7);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn errand(deed: Deed, urgency: Urgency) -> Errand {
    Errand {
        account: ACME,
        api: Api::Rest,
        deed,
        urgency,
    }
}

fn look() -> Errand {
    errand(Deed::Look, Urgency::Awaited)
}

fn change() -> Errand {
    errand(Deed::Change, Urgency::Background)
}

fn create() -> Errand {
    errand(Deed::Create, Urgency::Background)
}

fn report() -> Errand {
    errand(Deed::Create, Urgency::Report)
}

/// A pacer and the time of its world.
struct World {
    pacer: Pacer,
    began: Instant,
    now: Instant,
}

impl World {
    fn new(limits: &str) -> Self {
        let now = Instant::now() + Duration::from_hours(1000);
        Self {
            pacer: Pacer::new(limits.parse().unwrap()),
            began: now,
            now,
        }
    }

    /// A world in which the first hours are over.
    fn settled(limits: &str) -> Self {
        let mut world = Self::new(limits);
        world.pacer.room(ACME, world.now);
        world.pass(seconds(7200));
        world.began = world.now;
        world
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn at(&self, time: u64) -> Instant {
        self.began + seconds(time)
    }

    fn enqueue(&mut self, errand: Errand) -> u64 {
        self.pacer.enqueue(errand)
    }

    /// Tickets of those that may go now.
    fn sent(&mut self) -> Vec<u64> {
        let mut sent = Vec::new();
        while let Next::Send(ticket) = self.pacer.next(self.now) {
            sent.push(ticket);
        }
        sent
    }

    fn rest(&mut self) -> Next {
        self.pacer.next(self.now)
    }

    fn answer(&mut self, ticket: u64, heard: Heard) {
        self.pacer.answered(ticket, Some(heard), self.now);
    }

    fn answer_all(&mut self, tickets: &[u64]) {
        for ticket in tickets {
            self.answer(*ticket, Heard::default());
        }
    }

    /// Sends these and has them answered at once: how many went.
    fn done(&mut self, errand: Errand, count: usize) -> usize {
        let tickets: Vec<_> = (0..count).map(|_| self.enqueue(errand)).collect();
        let mut done = 0;
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                break;
            }
            done += sent.len();
            self.answer_all(&sent);
        }
        for ticket in tickets {
            self.pacer.abandon(ticket, self.now);
        }
        done
    }
}

fn refused(pause: Option<u64>) -> Heard {
    Heard {
        budget: None,
        refusal: Some(Refusal::Secondary(pause.map(seconds))),
    }
}

fn told(limit: u32, remaining: u32, reset: i64, resets_in: u64) -> Heard {
    let told = Told {
        limit,
        remaining,
        reset,
        resets_in: seconds(resets_in),
    };
    Heard {
        budget: Some(told),
        refusal: None,
    }
}

#[test]
fn no_minute_and_no_hour_sees_more_than_its_limit() {
    let mut world = World::settled("80/m,500/h");
    let mut done: Vec<Instant> = Vec::new();
    for _ in 0..4 * 3600 {
        let count = world.done(report(), 20);
        done.extend(std::iter::repeat_n(world.now, count));
        world.pass(seconds(1));
    }
    for (first, period, limit) in [(80, 60, 80), (500, 3600, 500)] {
        for window in done.windows(first + 1) {
            let span = window[first] - window[0];
            assert!(span >= seconds(period), "{limit} in {span:?}");
        }
    }
    assert_eq!(done.len(), 4 * 500, "and no time is lost");
}

#[test]
fn a_request_counts_until_its_answer_and_a_period_longer() {
    let mut world = World::settled("2/m");
    let (first, second) = (world.enqueue(report()), world.enqueue(report()));
    assert_eq!(world.sent(), [first, second]);
    let third = world.enqueue(report());
    world.pass(seconds(90));
    assert_eq!(world.rest(), Next::Rest(None), "until something comes back");
    world.answer(first, Heard::default());
    world.pass(seconds(10));
    world.answer(second, Heard::default());
    world.pass(seconds(30));
    assert_eq!(world.rest(), Next::Rest(Some(world.at(150))));
    world.pass(seconds(20));
    assert_eq!(world.sent(), [third]);
}

#[test]
fn what_would_wait_long_is_sent_away_with_the_time() {
    let mut world = World::settled("2/m");
    assert_eq!(world.done(report(), 2), 2);
    let third = world.enqueue(report());
    assert_eq!(world.rest(), Next::Refuse(third, world.at(60)));
    assert_eq!(world.rest(), Next::Rest(None));
}

#[test]
fn the_background_leaves_a_tenth_to_reports() {
    let mut world = World::settled("80/m");
    assert_eq!(world.pacer.room(ACME, world.now), 72);
    assert_eq!(world.done(create(), 100), 72);
    assert_eq!(world.pacer.room(ACME, world.now), 0);
    assert_eq!(world.done(report(), 100), 8);
}

#[test]
fn what_only_changes_needs_no_room() {
    let mut world = World::settled("5/m");
    assert_eq!(world.done(create(), 5), 4);
    assert_eq!(world.done(change(), 15), 15);
    assert_eq!(world.done(look(), 15), 15);
}

#[test]
fn a_process_that_begins_takes_it_that_the_one_before_has_just_reported() {
    let mut world = World::new("80/m,500/h");
    assert_eq!(world.pacer.room(ACME, world.now), 64);
    world.pass(seconds(60));
    assert_eq!(world.done(create(), 100), 72);
    world.pass(seconds(3500));
    assert_eq!(world.pacer.room(ACME, world.now), 72);
    let mut world = World::new("80/m,500/h");
    let mut done = 0;
    for _ in 0..3540 {
        done += world.done(create(), 20);
        world.pass(seconds(1));
    }
    assert_eq!(done, 400);
}

#[test]
fn what_was_created_before_counts() {
    let mut world = World::new("80/m,500/h");
    world.pass(seconds(600));
    world.pacer = Pacer::new("80/m,500/h".parse().unwrap());
    let minute = vec![world.at(580); 60];
    world.pacer.presume(ACME, minute, world.now);
    assert_eq!(world.pacer.room(ACME, world.now), 4);
    let hour = vec![world.at(0); 395];
    world.pacer.presume(ACME, hour, world.now);
    assert_eq!(world.pacer.room(ACME, world.now), 0);
    world.pass(seconds(3000));
    assert_eq!(world.pacer.room(ACME, world.now), 72);
}

#[test]
fn the_end_is_foretold_and_comes_then() {
    let mut world = World::settled("80/m,500/h");
    let end = world.pacer.created_by(ACME, 3000, world.now);
    let mut left = 3000;
    while left > 0 {
        left -= world.done(create(), left.min(20));
        if left > 0 {
            world.pass(seconds(1));
        }
    }
    assert_eq!(world.now, end);
    // 450 an hour: six whole hours before the last 300.
    let hours = (end - world.began).as_secs_f64() / 3600.0;
    assert!((6.0..6.2).contains(&hours), "{hours}");
}

#[test]
fn the_next_batch_is_as_large_as_there_ever_is_room_for() {
    let mut world = World::settled("80/m,500/h");
    world.done(create(), 30);
    world.pass(seconds(10));
    world.done(create(), 42);
    assert_eq!(world.pacer.room_for(ACME, 30, world.now), world.at(60));
    assert_eq!(world.pacer.room_for(ACME, 31, world.now), world.at(70));
    assert_eq!(world.pacer.room_for(ACME, 9000, world.now), world.at(70));
}

#[test]
fn without_limits_there_is_room_for_everything_at_once() {
    let mut world = World::new("none");
    assert_eq!(world.pacer.room(ACME, world.now), usize::MAX);
    assert_eq!(world.pacer.created_by(ACME, 9000, world.now), world.now);
    assert_eq!(world.done(create(), 3000), 3000);
}

#[test]
fn twenty_are_under_way_and_two_of_them_are_kept_for_people() {
    let mut world = World::settled("none");
    let background: Vec<_> = (0..30).map(|_| world.enqueue(change())).collect();
    assert_eq!(world.sent(), background[..18]);
    let awaited: Vec<_> = (0..5).map(|_| world.enqueue(look())).collect();
    assert_eq!(world.sent(), awaited[..2]);
    world.answer_all(&background[..3]);
    assert_eq!(world.sent(), awaited[2..]);
}

#[test]
fn people_go_before_reports_and_reports_before_the_rest() {
    let mut world = World::settled("none");
    let busy: Vec<_> = (0..20).map(|_| world.enqueue(look())).collect();
    assert_eq!(world.sent(), busy);
    let background = world.enqueue(change());
    let told = world.enqueue(report());
    let awaited = world.enqueue(look());
    for (index, expected) in [awaited, told].into_iter().enumerate() {
        world.answer(busy[index], Heard::default());
        assert_eq!(world.sent(), [expected]);
    }
    world.answer_all(&busy[2..]);
    assert_eq!(world.sent(), [background]);
}

#[test]
fn points_of_a_minute_are_not_overdrawn() {
    let mut world = World::settled("1000/m");
    assert_eq!(world.done(change(), 500), 162);
    assert_eq!(world.done(look(), 500), 90);
    let query = Errand {
        api: Api::GraphQl,
        ..look()
    };
    assert_eq!(world.done(query, 3000), 2000);
}

#[test]
fn a_refused_write_closes_the_writes_of_its_installation() {
    let mut world = World::settled("none");
    let (first, second) = (world.enqueue(change()), world.enqueue(create()));
    assert_eq!(world.sent(), [first, second]);
    world.answer(first, refused(Some(20)));
    // It was under way as well, and names another time.
    world.answer(second, refused(Some(10)));
    let told = world.enqueue(report());
    assert_eq!(world.rest(), Next::Rest(Some(world.at(20))));
    assert_eq!(world.done(look(), 3), 3);
    let elsewhere = Errand {
        account: Account::Installation(8),
        ..change()
    };
    assert_eq!(world.done(elsewhere, 3), 3);
    world.pass(seconds(20));
    assert_eq!(world.sent(), [told]);
}

#[test]
fn a_refused_look_closes_everything() {
    let mut world = World::settled("none");
    let first = world.enqueue(look());
    assert_eq!(world.sent(), [first]);
    world.answer(first, refused(Some(3600)));
    for errand in [look(), change(), report()] {
        let ticket = world.enqueue(errand);
        assert_eq!(world.rest(), Next::Refuse(ticket, world.at(3600)));
    }
}

#[test]
fn after_a_refusal_one_goes_ahead() {
    let mut world = World::settled("none");
    let first = world.enqueue(change());
    assert_eq!(world.sent(), [first]);
    world.answer(first, refused(Some(5)));
    let waiting: Vec<_> = (0..3).map(|_| world.enqueue(change())).collect();
    world.pass(seconds(5));
    assert_eq!(world.sent(), waiting[..1]);
    world.answer(waiting[0], Heard::default());
    assert_eq!(world.sent(), waiting[1..]);
}

#[test]
fn a_refusal_without_a_time_is_a_minute_then_two_then_four() {
    let mut world = World::settled("none");
    let mut pauses = Vec::new();
    for _ in 0..8 {
        // Both are refused, for one reason.
        let (one, two) = (world.enqueue(look()), world.enqueue(look()));
        let sent = world.sent();
        for ticket in &sent {
            world.answer(*ticket, refused(None));
        }
        world.pacer.abandon(one, world.now);
        world.pacer.abandon(two, world.now);
        let waiting = world.enqueue(look());
        let Next::Refuse(refused, until) = world.rest() else {
            panic!("it waits")
        };
        assert_eq!(refused, waiting);
        pauses.push((until - world.now).as_secs() / 60);
        world.now = until + seconds(1);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(world.done(look(), 1), 1);
    let again = world.enqueue(look());
    world.pass(seconds(1));
    assert_eq!(world.sent(), [again]);
    world.answer(again, refused(None));
    let until = world.now + seconds(60);
    let waiting = world.enqueue(look());
    assert_eq!(world.rest(), Next::Refuse(waiting, until), "it begins anew");
}

#[test]
fn a_lower_limit_than_told_is_learned_from_its_refusal() {
    let mut world = World::settled("80/m,500/h");
    assert_eq!(world.done(create(), 30), 30);
    world.pass(seconds(1));
    let (one, two) = (world.enqueue(create()), world.enqueue(create()));
    assert_eq!(world.sent(), [one, two]);
    world.answer(one, refused(Some(20)));
    world.answer(two, refused(Some(20)));
    assert_eq!(world.pacer.room(ACME, world.now), 0);
    world.pass(seconds(60));
    // The last tenth of thirty is for reports.
    assert_eq!(world.pacer.room(ACME, world.now), 27);
    assert_eq!(world.pacer.room_for(ACME, 900, world.now), world.now);
    world.pass(seconds(3600));
    assert_eq!(world.pacer.room(ACME, world.now), 72);
}

#[test]
fn an_hourly_budget_is_not_overdrawn_by_those_under_way() {
    let mut world = World::settled("none");
    let first = world.enqueue(look());
    assert_eq!(world.sent(), [first]);
    world.answer(first, told(5000, 3, 100, 20));
    let waiting: Vec<_> = (0..5).map(|_| world.enqueue(look())).collect();
    assert_eq!(world.sent(), waiting[..3]);
    assert_eq!(world.rest(), Next::Rest(None));
    // Answers overtake each other.
    world.answer(waiting[1], told(5000, 0, 100, 20));
    world.answer(waiting[0], told(5000, 2, 100, 20));
    world.answer(waiting[2], told(5000, 1, 100, 20));
    assert_eq!(world.rest(), Next::Rest(Some(world.at(20))));
    let query = Errand {
        api: Api::GraphQl,
        ..look()
    };
    assert_eq!(world.done(query, 3), 3, "GraphQL has a budget of its own");
    world.pass(seconds(20));
    assert_eq!(world.sent(), waiting[3..]);
    world.answer(waiting[3], told(5000, 4999, 3700, 3600));
    assert_eq!(world.done(look(), 100), 100);
}

#[test]
fn the_last_tenth_of_an_hour_is_for_people() {
    let mut world = World::settled("none");
    let first = world.enqueue(look());
    assert_eq!(world.sent(), [first]);
    world.answer(first, told(5000, 501, 100, 20));
    let background = [world.enqueue(change()), world.enqueue(change())];
    assert_eq!(world.sent(), background[..1]);
    world.answer(background[0], told(5000, 500, 100, 20));
    assert_eq!(world.rest(), Next::Rest(Some(world.at(20))));
    assert_eq!(world.done(look(), 100), 100);
    assert_eq!(world.pacer.room(ACME, world.now), 0);
    assert_eq!(world.pacer.room_for(ACME, 1, world.now), world.at(20));
}

#[test]
fn a_request_that_is_given_up_leaves_its_place() {
    let mut world = World::settled("1/m");
    let (first, second) = (world.enqueue(report()), world.enqueue(report()));
    world.pacer.abandon(first, world.now);
    assert_eq!(world.sent(), [second]);
    // Sent, and nobody hears of it: it may have been done.
    world.pacer.abandon(second, world.now);
    let third = world.enqueue(report());
    assert_eq!(world.rest(), Next::Refuse(third, world.at(60)));
}
