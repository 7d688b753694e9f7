"""reader_check.py - does a capture add up?

      start_seq                                                         end_seq      the ACCOUNT row of one stream
         |== EVENTS ==|== LOSS ==|===== EVENTS =====|== EVENTS ==|= LOSS =|          its blocks, sorted by first_seq
         every piece begins where the one before it ended, and the pieces' counts are the row's counts

Beside the tiling: each promise of the page that a decodable block can break (reader.py's complaints), the running
account in the head of each run, and whether the open regions and the task at the head of a run are what replaying the
run before it leaves.

Verdicts: `exact`; `cut: ...`, nothing wrong up to where the bytes end; `wrong: rule: ...`, the first thing wrong. The
rules and the order in which they are tried are those of validator.c, so that the two can be compared verdict by
verdict.
"""

from dataclasses import dataclass

import reader as r


@dataclass
class Verdict:
    category: str
    rule: str = ""
    sentence: str = ""

    def __str__(self):
        return ": ".join(part for part in (self.category, self.rule, self.sentence) if part)


class Wrong(Exception):
    def __init__(self, rule, sentence):
        super().__init__(sentence)
        self.verdict = Verdict("wrong", rule, sentence)


def verdict(data):
    try:
        capture = r.Capture(data)
    except r.NotACapture as why:
        return Verdict("wrong", "preamble", str(why))
    return verdict_of(capture)


def verdict_of(capture):
    try:
        check(capture)
    except Wrong as wrong:
        return wrong.verdict
    if capture.truncated:
        return Verdict("cut", "", capture.damage or "the capture ends without a TRAILER")
    return Verdict("exact")


def check(capture):
    for rule, sentence in capture.complaints:
        raise Wrong(rule, sentence)
    if capture.damage and not capture.cut:
        raise Wrong("damage", capture.damage)
    check_rows(capture)
    pieces = pieces_by_stream(capture)
    rows = {(row["thread"], row["level"]): row for row in capture.account_rows}
    for stream in sorted(pieces.keys() | {key for key in rows if key[0]}):
        if stream[0]:
            check_stream(capture, stream, pieces.get(stream, []), rows.get(stream))
    if capture.trailer:
        check_rowless(capture, pieces, rows)
        check_trailer(capture)


def check_rows(capture):
    seen = set()
    for row in capture.account_rows:
        where = f"account of thread {row['thread']} level {row['level']}"
        parts = row["delivered"] + row["filtered"] + sum(row[column] for column in r.LOST_COLUMNS)
        if row["end_seq"] - row["start_seq"] != parts:
            raise Wrong("account-identity", f"{where}: {row['end_seq']} - {row['start_seq']} is not {parts}")
        stream = (row["thread"], row["level"])
        if row["thread"] and stream in seen:
            raise Wrong("account-again", f"{where}: a second row")
        seen.add(stream)


def pieces_by_stream(capture):
    pieces = {}
    for piece in capture.runs + capture.losses:
        pieces.setdefault((piece.thread, piece.level), []).append(piece)
    for of_stream in pieces.values():
        of_stream.sort(key=lambda piece: (piece.first_seq, piece.end_seq()))
    return pieces


def counts_of(pieces):
    counts = dict.fromkeys(r.ACCOUNT_COLUMNS, 0)
    for piece in pieces:
        counts["filtered"] += piece.filtered
        if isinstance(piece, r.Run):
            counts["delivered"] += piece.count
        else:
            counts["lost_" + r.LOSS_REASONS[piece.reason]] += piece.lost
    return counts


def check_stream(capture, stream, pieces, row):
    where = f"thread {stream[0]} level {stream[1]}"
    whole = row is not None and not capture.truncated
    check_order(where, pieces, whole)
    if row:
        check_bounds(where, pieces, row, whole)
    check_befores(where, pieces, row, whole)
    check_heads(capture, where, pieces, row is not None and row["sampled_out"] == 0)
    if whole:
        check_counts(where, pieces, row)


def check_order(where, pieces, whole):
    for one, next_one in zip(pieces, pieces[1:]):
        if next_one.first_seq < one.end_seq():
            raise Wrong("overlap", f"{where}: {next_one.first_seq} comes twice")
        if whole and next_one.first_seq > one.end_seq():
            raise Wrong("hole", f"{where}: {one.end_seq()} to {next_one.first_seq} is in no block")


def check_bounds(where, pieces, row, whole):
    first, last = (pieces[0].first_seq, pieces[-1].end_seq()) if pieces else (row["end_seq"], row["end_seq"])
    if first < row["start_seq"] or last > row["end_seq"]:
        raise Wrong(
            "outside", f"{where}: blocks of {first} to {last}, account of {row['start_seq']} to {row['end_seq']}"
        )
    if whole and first != row["start_seq"]:
        raise Wrong("hole", f"{where}: {row['start_seq']} to {first} is in no block")
    if whole and last != row["end_seq"]:
        raise Wrong("hole", f"{where}: {last} to {row['end_seq']} is in no block")


def check_befores(where, pieces, row, whole):
    """Each head's account: the sum of the pieces, if all are there; else it leads back to one and the same start."""
    start, sampled_out = row["start_seq"] if row else None, 0
    delivered, filtered = 0, 0
    for run in pieces:
        if not isinstance(run, r.Run):
            filtered += run.filtered
            continue
        before = run.delivered_before + run.filtered_before + run.lost_before
        start = run.first_seq - before if start is None else start
        if run.first_seq - before != start:
            raise Wrong("before", f"{where}: the head at {run.first_seq} accounts for {before} events since {start}")
        if run.sampled_out_before < sampled_out or (row and run.sampled_out_before > row["sampled_out"]):
            raise Wrong(
                "before", f"{where}: sampled_out_before {run.sampled_out_before} at {run.first_seq} does not fit"
            )
        sampled_out = run.sampled_out_before
        if whole and (run.delivered_before, run.filtered_before) != (delivered, filtered):
            raise Wrong(
                "before",
                f"{where}: the head at {run.first_seq} has {run.delivered_before} delivered and "
                f"{run.filtered_before} filtered before, the blocks {delivered} and {filtered}",
            )
        delivered, filtered = delivered + run.count, filtered + run.filtered


def check_counts(where, pieces, row):
    counts = counts_of(pieces)
    for column in r.ACCOUNT_COLUMNS[:-1]:
        if counts[column] != row[column]:
            raise Wrong(
                "account-count", f"{where}: {column} is {row[column]} in the account, {counts[column]} in the blocks"
            )


def check_heads(capture, where, pieces, nothing_left_out):
    """Only where nothing is hidden: filtered or sampled-out events may have changed what the next head says.

    Also in a capture without a rule: as it joined, a thread may have entered a task that the others leave out."""
    if capture.header.sample:
        return
    state, end_seq = None, None
    for piece in pieces:
        is_run = isinstance(piece, r.Run)
        if state and is_run and piece.first_seq == end_seq:
            compare_heads(where, piece, state, nothing_left_out)
        state, end_seq = replay(where, piece) if is_run and piece.filtered == 0 else None, piece.end_seq()


@dataclass
class State:
    task: int
    open_ends: int
    regions: list


def replay(where, run):
    state = State(
        run.task.id if run.task else 0, run.open_ends, [(g.depth, g.name, g.begin_ticks) for g in run.regions]
    )
    for index, event in enumerate(run.events):
        if event.means == r.REGION_BEGIN:
            depth = state.regions[-1][0] + 1 if state.regions else 0
            state.regions.append((depth, event.values["name"], event.ticks))
        elif event.means == r.REGION_END:
            if not state.regions:
                raise Wrong("end-of-nothing", f"{where}: region_end at {run.first_seq + index} with no region open")
            state.regions.pop()
        elif event.means == r.REGION_END_AT:
            state.regions = [region for region in state.regions if region[0] < event.values["depth"]]
        elif event.means == r.REGION_END_OPEN:
            state.open_ends += 1
            if event.values["level"] != state.open_ends:
                raise Wrong(
                    "open-level",
                    f"{where}: region_end_open at {run.first_seq + index} has level "
                    f"{event.values['level']}, not {state.open_ends}",
                )
        elif event.means in (r.TASK_ENTER, r.TASK_ENTER_FULL):
            state.task = event.values["task"]
    return state


def compare_heads(where, run, state, nothing_left_out):
    if [(g.depth, g.name, g.begin_ticks) for g in run.regions] != state.regions:
        raise Wrong(
            "head-regions",
            f"{where}: the regions at the head of {run.first_seq} are not those the run before left open",
        )
    if nothing_left_out and run.level == 0 and (run.task.id if run.task else 0) != state.task:
        raise Wrong("head-task", f"{where}: the task at the head of {run.first_seq} is not {state.task}")
    if run.open_ends != state.open_ends:
        raise Wrong(
            "head-open-ends",
            f"{where}: open_ends at the head of {run.first_seq} is {run.open_ends}, not {state.open_ends}",
        )


def check_rowless(capture, pieces, rows):
    """Streams without a row: their sums are in rows of thread 0, where a queue that stayed full put them."""
    rowless = [stream for stream in sorted(pieces) if stream[0] and stream not in rows]
    shared = sum(row["delivered"] for row in capture.account_rows if row["thread"] == 0)
    delivered = sum(counts_of(pieces[stream])["delivered"] for stream in rowless)
    if delivered != shared or (rowless and not any(row["thread"] == 0 for row in capture.account_rows)):
        name = f"thread {rowless[0][0]} level {rowless[0][1]}" if rowless else "thread 0"
        raise Wrong(
            "account-missing", f"{name}: {delivered} events of streams without an account, {shared} in rows of thread 0"
        )


def check_trailer(capture):
    trailer, rows = capture.trailer, capture.account_rows
    if trailer["streams"] != len(rows):
        raise Wrong("trailer-streams", f"the TRAILER has {trailer['streams']} streams, ACCOUNT {len(rows)} rows")
    sums = {column: sum(row[column] for row in rows) for column in r.ACCOUNT_COLUMNS}
    sums["events"] = sum(row["end_seq"] - row["start_seq"] for row in rows)
    for column in ["events", *r.ACCOUNT_COLUMNS]:
        if trailer[column] != sums[column]:
            raise Wrong("trailer-sum", f"{column} is {trailer[column]} in the TRAILER, {sums[column]} in ACCOUNT")
    for column, value in capture.before_trailer.items():
        if trailer[column] != value:
            raise Wrong("trailer-" + column, f"{trailer[column]} {column} in the TRAILER, {value} before it")
