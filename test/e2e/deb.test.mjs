// The Debian package in a clean root: installed with its dependencies, started, recording from the
// simulator, upgraded, removed, purged. Takes root, debootstrap and the package mirror.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { files, folder, query, remove } from './lib.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const able = process.getuid() === 0 && ['debootstrap', 'dpkg-buildpackage', 'dh'].every((name) => spawnSync('which', [name]).status === 0);

function sh(command, { timeout = 300000 } = {}) {
  const result = spawnSync('bash', ['-c', command], { encoding: 'utf8', timeout, maxBuffer: 1 << 26, cwd: root });
  return { code: result.status, out: result.stdout + result.stderr };
}
function must(command, options) {
  const result = sh(command, options);
  assert.equal(result.code, 0, `${command}\n${result.out}`);
  return result.out;
}

test('the Debian package: install, record, upgrade, remove, purge', { timeout: 900000, skip: able ? false : 'takes root, debootstrap and debhelper' }, async () => {
  const dir = folder('deb');
  const clean = join(dir, 'root');
  const inside = (command) => `chroot ${clean} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 bash -c '${command}'`;
  try {
    const version = /version: '([^']+)'/.exec(readFileSync(join(root, 'meson.build'), 'utf8'))[1];
    must('scripts/deb');
    must(`dpkg-deb -R build/deb/market-data_${version}_*.deb ${dir}/next && sed -i 's/^Version: .*/Version: ${version}+next/' ${dir}/next/DEBIAN/control &&
      dpkg-deb --root-owner-group -b ${dir}/next ${dir}/next.deb`);
    must(`debootstrap --variant=minbase bookworm ${clean}`);
    must(`mount -t proc proc ${clean}/proc`);
    must(`cp build/deb/market-data_${version}_*.deb ${clean}/first.deb; cp ${dir}/next.deb ${clean}/next.deb`);
    must(`for f in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do [ -f "$f" ] && cp "$f" ${clean}/etc/apt/apt.conf.d/; done; rm -f ${clean}/etc/apt/apt.conf.d/docker-*; true`);
    const before = new Set(must(inside('find /etc /usr /var/lib -not -path "/var/lib/apt/*" -not -path "/var/lib/dpkg/*"')).split('\n'));

    const install = must(inside('apt-get update -qq && apt-get install -y -qq --no-install-recommends /first.deb'));
    assert.match(install, /choose symbols in \/etc\/market-data\/config\.yaml/);
    assert.match(must(inside('market-data --version')), new RegExp(`^market-data ${version.replaceAll('.', '\\.')}\n$`));
    assert.match(must(inside('id market-data')), /market-data/);
    assert.match(must(inside('stat -c "%U %G %a" /var/lib/market-data /etc/market-data/config.yaml')), /^market-data market-data 750\nroot market-data 640\n$/);
    for (const file of ['lib/systemd/system/market-data.service', 'usr/share/man/man1/market-data.1.gz', 'usr/share/bash-completion/completions/market-data',
      'usr/share/zsh/vendor-completions/_market-data']) assert.ok(existsSync(join(clean, file)), file);

    // the shipped configuration is valid, and says what is missing
    const empty = sh(inside('market-data check --offline -c /etc/market-data/config.yaml'));
    assert.equal(empty.code, 2);
    assert.match(empty.out, /nothing to record: set the symbols of an exchange/);

    must(inside(`(market-data simulate --symbols 6 --rate 300 --seconds 120 --ca-file /tmp/ca.pem >/tmp/sim.out 2>&1 & echo $! >/tmp/sim.pid)
      for i in $(seq 100); do grep -q "^ready" /tmp/sim.out && break; sleep 0.1; done; chmod 644 /tmp/ca.pem`));
    const port = /ready port=(\d+)/.exec(readFileSync(join(clean, 'tmp/sim.out'), 'utf8'))[1];
    const config = join(clean, 'etc/market-data/config.yaml');
    writeFileSync(config, `data_dir: /var/lib/market-data\nnet:\n  ca_file: /tmp/ca.pem\nbinance:\n  symbols: all\n` +
      `  ws_url: wss://127.0.0.1:${port}\n  rest_url: https://127.0.0.1:${port}\n`);
    const daemon = (command) => inside(`cd /; /usr/share/market-data/market-data-daemon.sh ${command}`);
    must('sleep 0.1');
    assert.match(must(daemon('start')), /started, pid/);
    must('sleep 3');
    assert.match(must(daemon('status')), /running, pid/);
    const pid = readFileSync(join(clean, 'var/lib/market-data/run/pid'), 'utf8').split(' ')[0];
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\\s+${statSync(join(clean, 'var/lib/market-data')).uid}\\s`, 'm'), 'not as root');

    const upgrade = must(inside('apt-get install -y -qq --no-install-recommends /next.deb'));
    assert.doesNotMatch(upgrade, /choose symbols/);
    assert.match(must(inside('dpkg-query -W market-data')), /\+next/);
    assert.match(readFileSync(config, 'utf8'), /symbols: all/, 'the configuration stays');
    assert.match(must(daemon('restart')), /stopped\nstarted, pid/);
    must('sleep 2');
    assert.match(must(daemon('stop')), /stopped/);
    const data = join(clean, 'var/lib/market-data');
    const [{ n }] = await query(`SELECT count(*) AS n FROM read_parquet('${data}/exchange=binance/channel=trades/**/*.parquet')`);
    assert.ok(Number(n) > 100, `${n} trades`);
    for (const file of files(data)) assert.equal(statSync(file).mode & 0o007, 0, `${file}: others may not read`);

    must(inside('apt-get remove -y -qq market-data'));
    assert.ok(!existsSync(join(clean, 'usr/bin/market-data')));
    assert.ok(existsSync(config), 'removed is not purged');
    const purge = must(inside('apt-get purge -y -qq market-data'));
    assert.match(purge, /recordings stay in \/var\/lib\/market-data/);
    assert.ok(existsSync(join(data, 'manifest')));
    remove(data);
    must(inside('apt-get install -y -qq --no-install-recommends /next.deb && apt-get purge -y -qq market-data && apt-get autoremove -y -qq --purge'));
    assert.equal(sh(inside('getent passwd market-data')).code, 2, 'the user goes with its last file');
    const left = must(inside('find /etc /usr /var/lib -not -path "/var/lib/apt/*" -not -path "/var/lib/dpkg/*"')).split('\n')
      .filter((path) => !before.has(path) && path.includes('market-data'));
    assert.deepEqual(left, []);
  } finally {
    const simulator = join(clean, 'tmp/sim.pid');
    sh(`[ -f ${simulator} ] && kill $(cat ${simulator}) 2>/dev/null; ${existsSync(join(clean, 'proc/1')) ? `${daemonStop(clean)}; umount ${clean}/proc` : 'true'}`);
    if (!existsSync(join(clean, 'proc/1')) ) remove(dir);
  }
});

function daemonStop(clean) {
  return `[ -x ${clean}/usr/share/market-data/market-data-daemon.sh ] && chroot ${clean} /usr/share/market-data/market-data-daemon.sh stop >/dev/null 2>&1`;
}
