//! When a request may be sent, and which one first: state and time in, a decision out.
//!
//! GitHub limits an App in four ways, each installation by itself
//! (<https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>):
//!
//! - An hourly [`Budget`] of requests and one of GraphQL points: their end is known before it comes, by `x-ratelimit-*`.
//! - What is created, in a minute and in an hour, and points in a minute: GitHub tells nothing of these, so each
//!   [`Ledger`] keeps account of what was sent.
//! - Anything else, and these too when somebody else uses them up: a refusal closes a [`Valve`] until `retry-after`, or
//!   for a minute, then for two, and so on.
//! - A hundred requests at a time, shared by everything that uses the same App.
//!
//! Who waits for an answer goes first, then reports, then everything else; and of everything that is limited, the last
//! tenth is kept from work in the background, which could use up the rest for hours.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::limits::{ContentLimits, Rate};

/// Requests at a time; GitHub's limit of 100 is shared.
const IN_FLIGHT: u32 = 20;

/// Of each limit, work in the background leaves this part to people who wait.
const KEPT: u32 = 10;

/// The longest that a request waits here; whoever asks knows better what to do with a longer pause.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// GitHub's points in a minute, for REST and for GraphQL, and what a request costs of them.
const REST_POINTS: u32 = 900;
const GRAPHQL_POINTS: u32 = 2_000;
const LOOK_POINTS: u32 = 1;
const WRITE_POINTS: u32 = 5;

/// After a refusal that names no time: at least this long, twice as long for each further one, up to an hour.
pub(super) const UNNAMED_PAUSE: Duration = Duration::from_mins(1);
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// How long a lower limit on what is created is believed, after GitHub showed it by a refusal.
const BELIEVED: Duration = Duration::from_hours(1);

/// Whose limits a request counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Account {
    App,
    Installation(u64),
    /// Whoever owns a token that was made elsewhere.
    Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Api {
    Rest,
    GraphQl,
}

/// What a request does to GitHub's content, as its secondary limits see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    Look,
    Change,
    /// GitHub's "content-generating request". Its documentation has no list of them; here it is each request that makes
    /// something that was not there: a repository, a commit, a key, a comment, a check run. Setting a permission and
    /// editing a comment or a check run are changes.
    Create,
}

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// A person waits for what is read.
    Awaited,
    Report,
    Background,
}

/// A request, as the limits see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Errand {
    pub(super) account: Account,
    pub(super) api: Api,
    pub(super) deed: Deed,
    pub(super) urgency: Urgency,
}

impl Errand {
    fn creation(account: Account) -> Self {
        Self {
            account,
            api: Api::Rest,
            deed: Deed::Create,
            urgency: Urgency::Background,
        }
    }
}

/// What an answer says of the limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) budget: Option<Told>,
    pub(super) refusal: Option<Refusal>,
}

/// `x-ratelimit-*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) limit: u32,
    pub(super) remaining: u32,
    /// Seconds since 1970, by GitHub's clock.
    pub(super) reset: i64,
    /// The same from the answer on.
    pub(super) resets_in: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The hourly budget is used up.
    Budget,
    /// Another limit, and how long GitHub asks to wait.
    Secondary(Option<Duration>),
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Send(u64),
    /// It would wait too long: not before this.
    Refuse(u64, Instant),
    /// Nothing, until something changes or this time has come.
    Rest(Option<Instant>),
}

/// When something may be done, from the soonest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum When {
    Now,
    /// Not before a request has come back that is under way.
    Answered,
    At(Instant),
}

impl When {
    fn or(self, now: Instant) -> Instant {
        match self {
            Self::At(at) => at,
            Self::Now | Self::Answered => now,
        }
    }
}

/// Everything that is known of limits, waits and is under way.
pub(super) struct Pacer {
    content: ContentLimits,
    books: BTreeMap<Account, Book>,
    waiting: BTreeMap<(Urgency, u64), Errand>,
    under_way: BTreeMap<u64, Sent>,
    tickets: u64,
}

struct Sent {
    errand: Errand,
    at: Instant,
}

impl Pacer {
    pub(super) fn new(content: ContentLimits) -> Self {
        Self {
            content,
            books: BTreeMap::new(),
            waiting: BTreeMap::new(),
            under_way: BTreeMap::new(),
            tickets: 0,
        }
    }

    /// Puts a request in line and gives its ticket.
    pub(super) fn enqueue(&mut self, errand: Errand) -> u64 {
        self.tickets += 1;
        self.waiting.insert((errand.urgency, self.tickets), errand);
        self.tickets
    }

    /// What to do now; to be asked again until it says to rest.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let mut soonest = None;
        let mut decided = None;
        for (&(urgency, ticket), errand) in &self.waiting {
            match self.when(errand, now) {
                When::Now => {
                    decided = Some((urgency, Next::Send(ticket)));
                    break;
                }
                When::At(at) if at.saturating_duration_since(now) > LONGEST_WAIT => {
                    decided = Some((urgency, Next::Refuse(ticket, at)));
                    break;
                }
                When::At(at) => {
                    soonest = Some(soonest.map_or(at, |soonest: Instant| soonest.min(at)));
                }
                When::Answered => {}
            }
        }
        match decided {
            Some((urgency, Next::Send(ticket))) => {
                let errand = self.waiting.remove(&(urgency, ticket));
                self.send(ticket, errand.expect("it was found there"), now);
                Next::Send(ticket)
            }
            Some((urgency, Next::Refuse(ticket, at))) => {
                self.waiting.remove(&(urgency, ticket));
                Next::Refuse(ticket, at)
            }
            Some((_, Next::Rest(_))) | None => Next::Rest(soonest),
        }
    }

    fn when(&self, errand: &Errand, now: Instant) -> When {
        let under_way = u32::try_from(self.under_way.len()).unwrap_or(u32::MAX);
        let turn = if under_way < share(errand.urgency, IN_FLIGHT) {
            When::Now
        } else {
            When::Answered
        };
        match self.books.get(&errand.account) {
            Some(book) => turn.max(book.when(errand, now)),
            None => turn,
        }
    }

    fn send(&mut self, ticket: u64, errand: Errand, now: Instant) {
        self.book(errand.account, now).sent(&errand);
        self.under_way.insert(ticket, Sent { errand, at: now });
    }

    /// A request has come back, with what its answer says of the limits; nothing where none came.
    pub(super) fn answered(&mut self, ticket: u64, heard: Option<Heard>, now: Instant) {
        if let Some(sent) = self.under_way.remove(&ticket) {
            self.book(sent.errand.account, now)
                .answered(&sent, heard, now);
        }
    }

    /// Nobody wants this request any more, wherever it is.
    pub(super) fn abandon(&mut self, ticket: u64, now: Instant) {
        self.waiting.retain(|(_, waiting), _| *waiting != ticket);
        self.answered(ticket, None, now);
    }

    /// How many things the background may create at once, now.
    pub(super) fn room(&mut self, account: Account, now: Instant) -> usize {
        let book = self.book(account, now);
        match book.when(&Errand::creation(account), now) {
            When::At(_) => 0,
            When::Now | When::Answered => book.content.room(Urgency::Background, now),
        }
    }

    /// When it may create so many at once, or as many as it ever may, if these are fewer.
    pub(super) fn room_for(&mut self, account: Account, creations: usize, now: Instant) -> Instant {
        let book = self.book(account, now);
        let creations = creations.min(book.content.most(Urgency::Background, now));
        let cost = u32::try_from(creations).unwrap_or(u32::MAX);
        let room = book.content.when(cost, Urgency::Background, now);
        book.when(&Errand::creation(account), now).max(room).or(now)
    }

    /// When so many will have been created, if each is as soon as it may be.
    pub(super) fn created_by(
        &mut self,
        account: Account,
        creations: usize,
        now: Instant,
    ) -> Instant {
        let book = self.book(account, now);
        let begin = book.when(&Errand::creation(account), now).or(now);
        book.content.end(creations, begin)
    }

    /// What a process before this one has created, and when.
    pub(super) fn presume(&mut self, account: Account, at: Vec<Instant>, now: Instant) {
        self.book(account, now).content.presume(at, now);
    }

    fn book(&mut self, account: Account, now: Instant) -> &mut Book {
        let content = &self.content;
        self.books
            .entry(account)
            .or_insert_with(|| Book::new(content, now))
    }
}

/// Of a limit, what somebody may use.
fn share(urgency: Urgency, limit: u32) -> u32 {
    match urgency {
        Urgency::Awaited | Urgency::Report => limit,
        Urgency::Background => limit - kept(limit),
    }
}

fn kept(limit: u32) -> u32 {
    limit.div_ceil(KEPT).min(limit.saturating_sub(1))
}

/// The limits of one account.
struct Book {
    budgets: BTreeMap<Api, Budget>,
    content: Ledger,
    rest_points: Ledger,
    graphql_points: Ledger,
    /// Closed by the refusal of a request that only looks.
    everything: Valve,
    /// Closed by the refusal of any other.
    writes: Valve,
}

impl Book {
    fn new(content: &ContentLimits, now: Instant) -> Self {
        // Where nothing that is created is limited, GitHub is a server without secondary limits.
        let a_minute = |count| match content.rates() {
            [] => Vec::new(),
            _ => vec![Rate {
                count,
                period: Duration::from_mins(1),
            }],
        };
        Self {
            budgets: BTreeMap::new(),
            content: Ledger::of_a_stranger(content.rates().to_vec(), now),
            rest_points: Ledger::new(a_minute(REST_POINTS)),
            graphql_points: Ledger::new(a_minute(GRAPHQL_POINTS)),
            everything: Valve::default(),
            writes: Valve::default(),
        }
    }

    fn when(&self, errand: &Errand, now: Instant) -> When {
        let Errand {
            api, deed, urgency, ..
        } = *errand;
        let budget = self.budgets.get(&api);
        let mut when = budget.map_or(When::Now, |budget| budget.when(urgency, now));
        when = when.max(self.points(api).when(points(deed), urgency, now));
        when = when.max(self.everything.when(now));
        match deed {
            Deed::Look => when,
            Deed::Change => when.max(self.writes.when(now)),
            Deed::Create => when
                .max(self.writes.when(now))
                .max(self.content.when(1, urgency, now)),
        }
    }

    fn points(&self, api: Api) -> &Ledger {
        match api {
            Api::Rest => &self.rest_points,
            Api::GraphQl => &self.graphql_points,
        }
    }

    fn points_of(&mut self, api: Api) -> &mut Ledger {
        match api {
            Api::Rest => &mut self.rest_points,
            Api::GraphQl => &mut self.graphql_points,
        }
    }

    fn valves(&mut self, deed: Deed) -> impl Iterator<Item = &mut Valve> {
        let writes = (deed != Deed::Look).then_some(&mut self.writes);
        [Some(&mut self.everything), writes].into_iter().flatten()
    }

    fn sent(&mut self, errand: &Errand) {
        let Errand { api, deed, .. } = *errand;
        self.budgets.entry(api).or_default().under_way += 1;
        self.points_of(api).open(points(deed));
        if deed == Deed::Create {
            self.content.open(1);
        }
        self.valves(deed).for_each(|valve| valve.under_way += 1);
    }

    fn answered(&mut self, sent: &Sent, heard: Option<Heard>, now: Instant) {
        let Errand { api, deed, .. } = sent.errand;
        let budget = self.budgets.entry(api).or_default();
        budget.under_way -= 1;
        if let Some(told) = heard.and_then(|heard| heard.budget) {
            budget.told(told, now);
        }
        self.points_of(api).close(points(deed), now);
        let refusal = heard.and_then(|heard| heard.refusal);
        match (deed, refusal) {
            (Deed::Look | Deed::Change, _) => {}
            (Deed::Create, None) => self.content.close(1, now),
            (Deed::Create, Some(_)) => {
                let is_news = self.writes.is_news(sent.at);
                self.content.refused(1, is_news, now);
            }
        }
        self.valves(deed).for_each(|valve| valve.under_way -= 1);
        let Some(heard) = heard else { return };
        match heard.refusal {
            None => self.valves(deed).for_each(|valve| valve.passed(sent.at)),
            Some(Refusal::Budget) => {}
            Some(Refusal::Secondary(pause)) => {
                let innermost = self.valves(deed).last();
                let innermost = innermost.expect("there is one for everything");
                innermost.refused(pause, sent.at, now);
            }
        }
    }
}

fn points(deed: Deed) -> u32 {
    match deed {
        Deed::Look => LOOK_POINTS,
        Deed::Change | Deed::Create => WRITE_POINTS,
    }
}

/// Requests, or points, until the next reset.
#[derive(Default)]
struct Budget {
    told: Option<Left>,
    under_way: u32,
}

struct Left {
    limit: u32,
    remaining: u32,
    /// Tells one hour from the next.
    reset: i64,
    resets_at: Instant,
}

impl Budget {
    fn when(&self, urgency: Urgency, now: Instant) -> When {
        let Some(left) = self.told.as_ref().filter(|left| left.resets_at > now) else {
            return When::Now;
        };
        let kept = left.limit - share(urgency, left.limit);
        // Those under way may not have been counted yet.
        if self.under_way + kept < left.remaining {
            When::Now
        } else if self.under_way > 0 && kept < left.remaining {
            When::Answered
        } else {
            When::At(left.resets_at)
        }
    }

    /// Answers overtake each other, so within an hour the smallest number counts.
    fn told(&mut self, told: Told, now: Instant) {
        let Told {
            limit,
            remaining,
            reset,
            resets_in,
        } = told;
        let resets_at = now + resets_in;
        match &mut self.told {
            Some(left) if left.reset > reset => {}
            Some(left) if left.reset == reset => left.remaining = left.remaining.min(remaining),
            _ => {
                self.told = Some(Left {
                    limit,
                    remaining,
                    reset,
                    resets_at,
                });
            }
        }
    }
}

/// What was done of late, against the most that may be done in a while.
///
/// A request counts from its sending to its answer, and then for the length of a period: whenever in between GitHub has
/// counted it, GitHub has forgotten it when we do.
#[derive(Clone)]
struct Ledger {
    rates: Vec<Rate>,
    /// When it was answered and what it cost, oldest first.
    done: VecDeque<(Instant, u32)>,
    under_way: u32,
    /// What GitHub allowed in the shortest period when it refused more, and until when that is believed: others may use
    /// up the same limit, and some things have a lower one.
    learned: Option<(u32, Instant)>,
}

impl Ledger {
    fn new(rates: Vec<Rate>) -> Self {
        Self {
            rates,
            done: VecDeque::new(),
            under_way: 0,
            learned: None,
        }
    }

    /// Of an account whose past is not known: a process before this one may have used, just now, all that is kept for
    /// reports. What it made in the background can be told by what is there; see [`Pacer::presume`].
    fn of_a_stranger(rates: Vec<Rate>, now: Instant) -> Self {
        let mut ledger = Self::new(rates);
        let mut shortest_first = ledger.rates.clone();
        shortest_first.sort_by_key(|rate| rate.period);
        let mut before = Duration::ZERO;
        for rate in shortest_first {
            // Long enough ago to be forgotten within the shorter period.
            let at = now.checked_sub(before).unwrap_or(now);
            while ledger.used(rate.period, now) < kept(rate.count) {
                ledger.done.push_front((at, 1));
            }
            before = rate.period;
        }
        ledger
    }

    fn presume(&mut self, at: Vec<Instant>, now: Instant) {
        self.done.extend(at.into_iter().map(|at| (at.min(now), 1)));
        self.done.make_contiguous().sort_unstable();
    }

    fn open(&mut self, cost: u32) {
        self.under_way += cost;
    }

    fn close(&mut self, cost: u32, now: Instant) {
        self.under_way -= cost;
        let longest = self.rates.iter().map(|rate| rate.period).max();
        let Some(longest) = longest else { return };
        while self
            .done
            .front()
            .is_some_and(|(at, _)| *at + longest <= now)
        {
            self.done.pop_front();
        }
        self.done.push_back((now, cost));
    }

    /// GitHub refused it, though by these rates there was room.
    fn refused(&mut self, cost: u32, is_news: bool, now: Instant) {
        self.under_way -= cost;
        let Some(shortest) = self.rates.iter().min_by_key(|rate| rate.period) else {
            return;
        };
        let done: u32 = self
            .within(shortest.period, now)
            .map(|(_, cost)| cost)
            .sum();
        let so_far = self
            .learned
            .filter(|_| !is_news)
            .map_or(0, |(count, _)| count);
        let count = done.max(so_far).max(shortest.count / KEPT).max(1);
        self.learned = Some((count, now + BELIEVED));
    }

    /// The most in this period.
    fn count(&self, rate: Rate, now: Instant) -> u32 {
        let shortest = self.rates.iter().map(|rate| rate.period).min();
        let applies = |(_, until): &(u32, Instant)| Some(rate.period) == shortest && *until > now;
        match self.learned.filter(applies) {
            Some((learned, _)) => learned.min(rate.count),
            None => rate.count,
        }
    }

    /// What still counts of a period, newest first.
    fn within(&self, period: Duration, now: Instant) -> impl Iterator<Item = (Instant, u32)> {
        let done = self.done.iter().rev().copied();
        done.take_while(move |(at, _)| *at + period > now)
    }

    fn used(&self, period: Duration, now: Instant) -> u32 {
        let done: u32 = self.within(period, now).map(|(_, cost)| cost).sum();
        done + self.under_way
    }

    fn when(&self, cost: u32, urgency: Urgency, now: Instant) -> When {
        let each = self.rates.iter();
        let each = each.map(|rate| self.when_within(*rate, cost, urgency, now));
        each.max().unwrap_or(When::Now)
    }

    fn when_within(&self, rate: Rate, cost: u32, urgency: Urgency, now: Instant) -> When {
        // What costs more than there ever is takes all of it.
        let allowed = share(urgency, self.count(rate, now)).max(cost);
        let mut used = cost + self.under_way;
        if used > allowed {
            return When::Answered;
        }
        for (at, cost) in self.within(rate.period, now) {
            used += cost;
            if used > allowed {
                return When::At(at + rate.period);
            }
        }
        When::Now
    }

    fn room(&self, urgency: Urgency, now: Instant) -> usize {
        let left = self.rates.iter().map(|rate| {
            let share = share(urgency, self.count(*rate, now));
            share.saturating_sub(self.used(rate.period, now))
        });
        left.min().map_or(usize::MAX, |left| left as usize)
    }

    /// As much as there ever is at once.
    fn most(&self, urgency: Urgency, now: Instant) -> usize {
        let each = self.rates.iter();
        let shares = each.map(|rate| share(urgency, self.count(*rate, now)));
        shares.min().map_or(usize::MAX, |most| most as usize)
    }

    /// When so many more have been done in the background, each as soon as it may be.
    fn end(&self, count: usize, now: Instant) -> Instant {
        if self.rates.is_empty() {
            return now;
        }
        let mut ledger = self.clone();
        ledger
            .done
            .push_back((now, std::mem::take(&mut ledger.under_way)));
        let mut at = now;
        for _ in 0..count {
            if let When::At(later) = ledger.when(1, Urgency::Background, at) {
                at = later;
            }
            ledger.done.push_back((at, 1));
        }
        at
    }
}

/// Open, or closed by a refusal for a while.
#[derive(Default)]
struct Valve {
    opens_at: Option<Instant>,
    /// Times that it was closed since something went through.
    refusals: u32,
    refused_at: Option<Instant>,
    under_way: u32,
}

impl Valve {
    fn when(&self, now: Instant) -> When {
        match self.opens_at {
            Some(at) if at > now => When::At(at),
            // After a refusal one goes ahead, and the others wait for what becomes of it.
            _ if self.refusals > 0 && self.under_way > 0 => When::Answered,
            _ => When::Now,
        }
    }

    fn refused(&mut self, pause: Option<Duration>, sent_at: Instant, now: Instant) {
        // Those that were under way together are refused together.
        if self.is_news(sent_at) {
            self.refusals += 1;
            self.refused_at = Some(now);
        }
        let pause = pause.unwrap_or_else(|| {
            let doubled = UNNAMED_PAUSE.saturating_mul(1 << (self.refusals - 1).min(16));
            doubled.min(LONGEST_PAUSE)
        });
        self.opens_at = self.opens_at.max(Some(now + pause));
    }

    fn passed(&mut self, sent_at: Instant) {
        if self.is_news(sent_at) {
            self.refusals = 0;
            self.refused_at = None;
        }
    }

    /// Whether it was sent after the last refusal was heard.
    fn is_news(&self, sent_at: Instant) -> bool {
        self.refused_at.is_none_or(|before| sent_at > before)
    }
}

#[cfg(test)]
mod tests;
