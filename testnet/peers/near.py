"""Exact look-ups and near PDQ matches of other programs and of ours, on one core, in one run: JSON on standard output.

Values are random bits (seed below). Of the queries every other one lies 0 to 31 flips from a value. Truth is the flat scan of
FAISS; recall is the share of its (query, value) pairs that a program finds. Memory is what a process grew by,
times are processor time.
"""

import argparse, gc, hashlib, importlib.metadata, json, os, resource, subprocess, sys, tempfile, time

os.environ["OMP_NUM_THREADS"] = "1"
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import faiss
import numpy

parser = argparse.ArgumentParser()
parser.add_argument("ours", help="the example near_speed")
parser.add_argument("--values", type=int, nargs="+", default=[100_000, 1_000_000])
parser.add_argument("--queries", type=int, default=2_000)
args = parser.parse_args()
faiss.omp_set_num_threads(1)
THRESHOLD = 31


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def timed(work):
    begun = time.process_time()
    result = work()
    return result, time.process_time() - begun


def pairs_of(lims, ids):
    return {(query, int(at)) for query in range(len(lims) - 1) for at in ids[lims[query]:lims[query + 1]]}


def faiss_figures(index, values, queries):
    gc.collect()
    before = resident()
    _, build = timed(lambda: index.add(values))
    grown = resident() - before
    (lims, _, ids), spent = timed(lambda: index.range_search(queries, THRESHOLD + 1))
    return dict(per_s=len(queries) / spent, build_s=build, resident_bytes=grown), pairs_of(lims, ids)


def threatexchange_figures(values, queries):
    from threatexchange.signal_type.pdq.signal import PdqSignal
    kind = PdqSignal.get_index_cls()
    texts = [(row.tobytes().hex(), number) for number, row in enumerate(values)]
    asked = [row.tobytes().hex() for row in queries]
    gc.collect()
    before = resident()
    index, build = timed(lambda: kind.build(texts))
    grown = resident() - before
    found, spent = timed(lambda: [index.query(text) for text in asked])
    pairs = {(query, match.metadata) for query, matches in enumerate(found) for match in matches}
    return dict(per_s=len(queries) / spent, build_s=build, resident_bytes=grown, index=kind.__name__), pairs


def dict_figures(values):
    before = resident()
    md5s = [hashlib.md5(row.tobytes()).hexdigest() for row in values]
    table, build = timed(lambda: {text: number for number, text in enumerate(md5s)})
    grown = resident() - before
    asked = [md5s[n * 7_919 % len(md5s)] if n % 2 else hashlib.md5(str(n).encode()).hexdigest() for n in range(1_000_000)]
    asked = ["".join(text) for text in asked]
    hits, spent = timed(lambda: sum(text in table for text in asked))
    return dict(per_s=len(asked) / spent, build_s=build, resident_bytes=grown, hits=hits)


def ours_figures(values, queries):
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("hashes", "queries", "answers")]
        values.tofile(paths[0])
        queries.tofile(paths[1])
        done = subprocess.run([args.ours, paths[0], paths[1], str(THRESHOLD), paths[2]], check=True, stdout=subprocess.PIPE)
        rows = numpy.fromfile(paths[2], "<u4").reshape(-1, 3)
    distances = numpy.bitwise_count(values[rows[:, 1]] ^ queries[rows[:, 0]]).sum(axis=1)
    assert (distances == rows[:, 2]).all() and (distances <= THRESHOLD).all(), "a distance is wrong"
    pairs = {(int(query), int(at)) for query, at, _ in rows}
    assert len(pairs) == len(rows), "a match was told twice"
    return json.loads(done.stdout), pairs


def one(count):
    random = numpy.random.default_rng(count)
    values = random.integers(0, 256, (count, 32), numpy.uint8)
    queries = random.integers(0, 256, (args.queries, 32), numpy.uint8)
    for number in range(0, args.queries, 2):
        bits = numpy.unpackbits(values[random.integers(count)])
        bits[random.choice(256, number // 2 % 32, replace=False)] ^= 1
        queries[number] = numpy.packbits(bits)
    figures, found = {}, {}
    figures["faiss_flat"], found["faiss_flat"] = faiss_figures(faiss.IndexBinaryFlat(256), values, queries)
    multi = faiss.IndexBinaryMultiHash(256, 8, 20)
    multi.nflip = 2
    figures["faiss_multihash_8x20_flip2"], found["faiss_multihash_8x20_flip2"] = faiss_figures(multi, values, queries)
    del multi
    figures["threatexchange_pdq"], found["threatexchange_pdq"] = threatexchange_figures(values, queries)
    figures["python_dict_md5"] = dict_figures(values)
    figures["hashpact"], found["hashpact"] = ours_figures(values, queries)
    truth = found["faiss_flat"]
    for name, pairs in found.items():
        figures[name]["recall"] = len(pairs & truth) / len(truth)
        figures[name]["beyond"] = len(pairs - truth)
    ours = figures["hashpact"]
    near = {name: figures[name]["per_s"] for name in found if name != "hashpact"}
    figures["ratios"] = {name: ours["near_per_s"] / rate for name, rate in near.items()}
    figures["ratios"]["best_of_these"] = ours["near_per_s"] / max(near.values())
    figures["ratios"]["python_dict_md5"] = ours["exact_per_s"] / figures["python_dict_md5"]["per_s"]
    return figures


versions = {name: importlib.metadata.version(name) for name in ("faiss-cpu", "threatexchange", "numpy")}
result = {"versions": versions, "python": sys.version.split()[0], "threshold": THRESHOLD, "queries": args.queries}
for count in args.values:
    result[str(count)] = one(count)
    print(json.dumps({count: result[str(count)]}), file=sys.stderr)
print(json.dumps(result))
