// Starts the exchange simulator for a test: `market-data simulate` (MD_PROGRAM) unless only the small
// program has what is asked for. Everything on 127.0.0.1, on a free port, ended by its own pid.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, readFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const build = process.env.MD_BUILD ?? path.join(root, 'build');
const program = process.env.MD_PROGRAM ?? path.join(build, 'market-data');
const small = path.join(build, 'test/e2e/sim_main');

const running = new Map(); // a child, and its folder
const endAll = () => {
    for (const [child, folder] of running) {
        child.kill('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
    }
    running.clear();
};
process.on('exit', endAll);
after(endAll); // a test that failed before stop() leaves none behind, nor keeps its file from ending

/** The oracle's program, and the options that give it the same market. */
export const oracle = path.join(build, 'test/e2e/oracle');
export function modelOptions(options) {
    const names = ['seed', 'symbols', 'rate', 'updates'];
    return names.filter((n) => options[n] !== undefined).flatMap((n) => [`--${n}`, String(options[n])]);
}

/**
 * options: seed, symbols, rate (numbers); faults (a file), replay (a file); extra: arguments of
 * sim_main alone, e.g. ['--limit', 'life_ms=3000'], which make it the small program.
 */
export async function startSimulator(options = {}) {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'md-sim-'));
    const ca = path.join(folder, 'ca.pem');
    const useSmall = options.extra !== undefined || options.updates !== undefined || !existsSync(program);
    const args = useSmall ? ['--ca', ca] : ['simulate', '--ca-file', ca];
    args.push(...modelOptions(options));
    if (options.exchange) args.push('--exchange', options.exchange);
    if (options.faults) args.push(useSmall ? '--faults-file' : '--faults', options.faults);
    if (options.replay) args.push('--replay', options.replay);
    if (useSmall) args.push(...(options.extra ?? []));
    const child = spawn(useSmall ? small : program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    running.set(child, folder);
    let output = '';
    const port = await new Promise((resolve, reject) => {
        child.stdout.on('data', (data) => {
            output += data;
            const ready = /ready port=(\d+)/.exec(output);
            if (ready) resolve(Number(ready[1]));
        });
        child.on('error', reject);
        child.on('exit', (code) => reject(new Error(`the simulator ended with ${code}: ${output}`)));
    });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    const get = (target) => httpsGet(port, target, readFileSync(ca));
    return {
        port, ca, get,
        rest: `https://localhost:${port}`,
        ws: `wss://localhost:${port}`,
        status: async () => JSON.parse((await get('/sim/status')).body),
        stop: async () => {
            child.kill('SIGTERM');
            const code = await ended;
            running.delete(child);
            rmSync(folder, { recursive: true, force: true });
            return code;
        },
    };
}

function httpsGet(port, target, ca) {
    return new Promise((resolve, reject) => {
        https.get({ host: 'localhost', port, path: target, ca, agent: false, family: 4 }, (response) => {
            let body = '';
            response.on('data', (part) => (body += part));
            response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
        }).on('error', reject);
    });
}
