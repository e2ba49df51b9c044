"""What private set intersection costs with programs of others: OpenMined's PSI and SecretFlow's libpsi.

Synthetic 16-byte identifiers, half of the smaller list in common. Processor time is that of both parties; bytes are those of
the messages (OpenMined), or what crossed the loopback device meanwhile (libpsi: an upper bound, keep the machine quiet).
Each run checks that the size of the intersection is right. One JSON object on standard output, progress on standard error.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import resource
import socket
import sys
import tempfile
import time


def identifiers(first, count):
    return [f"{number:032x}" for number in range(first, first + count)]


def progress(text):
    print(text, file=sys.stderr, flush=True)


class Spent:
    """Wall and processor seconds of a block in this process."""

    def __enter__(self):
        self.began = time.monotonic(), time.process_time()
        return self

    def __exit__(self, *_):
        self.wall = time.monotonic() - self.began[0]
        self.cpu = time.process_time() - self.began[1]


def openmined(server_items, client_items):
    """One process plays both parties in turn. The rate is that of our tags: 2^-40 a look-up."""
    import private_set_intersection.python as psi

    held = identifiers(0, server_items)
    common = client_items // 2
    checked = identifiers(server_items - common, client_items)
    false_positives = client_items * 2.0**-40
    with Spent() as setting_up:
        server = psi.server.CreateWithNewKey(True)
        setup = server.CreateSetupMessage(false_positives, client_items, held, psi.DataStructure.GCS)
    with Spent() as requesting:
        client = psi.client.CreateWithNewKey(True)
        request = client.CreateRequest(checked)
    with Spent() as answering:
        response = server.ProcessRequest(request)
    with Spent() as intersecting:
        found = client.GetIntersection(setup, response)
    assert len(found) == common, f"{len(found)} in common, expected {common}"
    client_cpu = requesting.cpu + answering.cpu + intersecting.cpu
    return {
        "server_items": server_items,
        "client_items": client_items,
        "setup_us_per_server_item": setting_up.cpu / server_items * 1e6,
        "server_us_per_client_item": answering.cpu / client_items * 1e6,
        "client_us_per_client_item": (requesting.cpu + intersecting.cpu) / client_items * 1e6,
        "both_us_per_client_item": client_cpu / client_items * 1e6,
        "cpu_s": setting_up.cpu + client_cpu,
        "wall_s": setting_up.wall + requesting.wall + answering.wall + intersecting.wall,
        "setup_bytes": len(setup.SerializeToString()),
        "session_bytes": len(request.SerializeToString()) + len(response.SerializeToString()),
        "in_common": len(found),
    }


def loopback_bytes():
    for line in pathlib.Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[0])
    return 0


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def party_cpu():
    """Processor seconds of this process and of the programs that it called (libpsi sorts with `sort`)."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def libpsi_party(rank, protocol, ports, folder, answers):
    os.dup2(2, 1)  # Its log goes to standard output, which is for the figures.
    import spu.psi as psi
    from spu import libspu

    description = libspu.link.Desc()
    description.recv_timeout_ms = 600_000
    for party, port in enumerate(ports):
        description.add_party(f"party{party}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(description, rank)
    settings = psi.PsiProtocolConfig(
        protocol=getattr(psi.PsiProtocol, protocol),
        receiver_rank=0,
        ecdh_params=psi.EcdhParams(curve=psi.EllipticCurveType.CURVE_25519),
    )
    began, cpu = time.monotonic(), party_cpu()
    report = psi.psi_execute(
        psi.PsiExecuteConfig(
            protocol_conf=settings,
            input_params=psi.InputParams(
                path=os.path.join(folder, f"{rank}.csv"), selected_keys=["id"], keys_unique=True
            ),
            output_params=psi.OutputParams(
                path=os.path.join(folder, f"{rank}.out.csv"), disable_alignment=True
            ),
        ),
        link,
    )
    answers.put(
        {
            "rank": rank,
            "wall_s": time.monotonic() - began,
            "cpu_s": party_cpu() - cpu,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "in_common": report.intersection_count,
        }
    )
    answers.close()
    answers.join_thread()
    # Threads of its link may outlive the work; the figures are told.
    os._exit(0)


def libpsi(protocol, items):
    """Two processes over brpc on the loopback device, files in and out, as libpsi works."""
    with tempfile.TemporaryDirectory() as folder:
        common = items // 2
        for rank, first in enumerate((0, items - common)):
            with open(os.path.join(folder, f"{rank}.csv"), "w", encoding="ascii") as file:
                file.write("id\n")
                file.writelines(f"{name}\n" for name in identifiers(first, items))
        context = multiprocessing.get_context("spawn")
        answers = context.Queue()
        ports = free_ports(2)
        before = loopback_bytes()
        parties = [
            context.Process(target=libpsi_party, args=(rank, protocol, ports, folder, answers))
            for rank in range(2)
        ]
        for party in parties:
            party.start()
        told = sorted((answers.get(timeout=1_800) for _ in parties), key=lambda each: each["rank"])
        for party in parties:
            party.join()
        crossed = loopback_bytes() - before
    assert told[0]["in_common"] == common, f"{told[0]['in_common']} in common, expected {common}"
    cpu = sum(each["cpu_s"] for each in told)
    return {
        "items_each": items,
        "cpu_s": cpu,
        "cpu_us_per_item": cpu / (2 * items) * 1e6,
        "wall_s": max(each["wall_s"] for each in told),
        "loopback_bytes": crossed,
        "peak_mib": [each["peak_mib"] for each in told],
        "in_common": told[0]["in_common"],
    }


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("peers", nargs="*", default=["openmined", "ecdh", "rr22"])
    options.add_argument("--server", type=int, default=1_000_000)
    options.add_argument("--client", type=int, default=100_000)
    options.add_argument("--both", type=int, default=1_000_000)
    chosen = options.parse_args()
    work = {
        "openmined": ("openmined-psi 2.0.6", lambda: openmined(chosen.server, chosen.client)),
        "ecdh": ("spu 0.9.5, ECDH, Curve25519", lambda: libpsi("PROTOCOL_ECDH", chosen.both)),
        "rr22": ("spu 0.9.5, RR22", lambda: libpsi("PROTOCOL_RR22", chosen.both)),
    }
    figures = {}
    for peer in chosen.peers:
        name, run = work[peer]
        progress(f"{name} ...")
        figures[name] = run()
        progress(json.dumps(figures[name]))
    json.dump({"cores": os.cpu_count(), "peers": figures}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
