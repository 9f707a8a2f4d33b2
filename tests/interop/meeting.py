"""Other people's servers by which peers and content are found: opentracker, and nginx as a web seed."""

import contextlib
import os
import re
import urllib.error
import urllib.parse
import urllib.request

from carriers import Held
from clients import folder, found, start
from swarm import wait_until


class Opentracker:
    """An opentracker that tracks these contents, by HTTP and by UDP, at one address for who gives and another for who takes.

    libtorrent's sessions in one process share the connection ids of a UDP tracker, which opentracker gives to one host each.
    """

    def __init__(self, root, hosts, port, contents):
        home = folder(root, "opentracker")
        allowed = os.path.join(home, "whitelist.txt")
        # Debian's tracks what is on a list, and reads that when `home` is all that it sees.
        with open(allowed, "w", encoding="utf-8") as out:
            out.writelines(f"{content.key()}\n" for content in contents)
        for path in (root, home, allowed):
            os.chmod(path, 0o755)
        self.urls = {by: [f"{by}://{host}:{port}/announce" for host in hosts] for by in ("http", "udp")}
        places = [word for host in hosts for word in ("-i", host, "-p", str(port), "-P", str(port))]
        line = ["opentracker", *places, "-d", home, "-u", "nobody", "-w", "whitelist.txt"]
        self.held = Held(start(line, home), home)
        self.base = f"http://{hosts[0]}:{port}"
        wait_until(lambda: self.scrape(contents[0]), 20, "opentracker answers")

    def scrape(self, content):
        key = urllib.parse.quote(bytes.fromhex(content.key()))
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.base}/scrape?info_hash={key}", timeout=2) as reply:
            return reply.read()
        return b""

    def seeders(self, content):
        """How many have announced that they have all of it, and have not taken leave."""
        found = re.search(rb"8:completei(\d+)e", self.scrape(content))
        return int(found[1]) if found else 0


class Nginx:
    """An nginx that serves the files of all contents, each below a directory of its own."""

    def __init__(self, root, address, content_root):
        home = folder(root, "nginx")
        self.base = "http://%s:%d" % address
        config = os.path.join(home, "nginx.conf")
        with open(config, "w", encoding="utf-8") as out:
            out.write(
                f"daemon off; master_process off; pid {home}/pid; error_log {home}/error.log; events {{}}\n"
                f"http {{ access_log {home}/access.log; client_body_temp_path {home}/t1; proxy_temp_path {home}/t2;"
                f" fastcgi_temp_path {home}/t3; uwsgi_temp_path {home}/t4; scgi_temp_path {home}/t5;\n"
                f" server {{ listen {address[0]}:{address[1]}; root {content_root}; }} }}\n")
        self.home = home
        self.held = Held(start(["nginx", "-p", home, "-c", config], home), home)
        wait_until(self.answers, 20, "nginx answers")

    def answers(self):
        try:
            urllib.request.urlopen(self.base, timeout=2).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def url(self, content):
        """A directory's URL for a torrent of many files (BEP 19), the file's for one of one."""
        path = urllib.parse.quote(os.path.basename(content.folder) + "/")
        alone = content.info.num_files() == 1
        return f"{self.base}/{path}" + (urllib.parse.quote(content.name) if alone else "")


def servers(root, hosts, contents):
    """Those that are installed: opentracker at port 6969, nginx at 8080. None for each that is not."""
    tracker = Opentracker(root, hosts, 6969, contents) if found("opentracker") else None
    web = Nginx(root, (hosts[0], 8080), os.path.dirname(contents[0].folder)) if found("nginx") else None
    return tracker, web
