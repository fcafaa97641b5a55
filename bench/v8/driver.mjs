// V8 behind runwell's command line: `node FLAGS driver.mjs run|compile [OPTIONS] FILE [ARGS…]`, as the
// other engines have it (bench/src/job.rs says which options). Which compiler it is say V8's flags.

import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';

function parse(args) {
    const job = { stats: false, preopens: {}, env: {}, file: '', args: [] };
    for (let i = 0; i < args.length; i++) {
        const arg = args[i];
        if (arg === '--stats=json') {
            job.stats = true;
        } else if (arg === '--no-cache') {
            // There is none.
        } else if (arg === '--jobs') {
            i++;
        } else if (arg === '--dir') {
            const [host, guest] = args[++i].split('::');
            job.preopens[guest ?? host] = host;
        } else if (arg === '--env') {
            const setting = args[++i];
            const at = setting.indexOf('=');
            job.env[setting.slice(0, at)] = setting.slice(at + 1);
        } else if (arg.startsWith('-') && job.file === '') {
            throw new Error(`no option \`${arg}\``);
        } else {
            job.file = arg;
            job.args = args.slice(i + 1);
            break;
        }
    }
    return job;
}

/** Elapsed and processor seconds of one thing, of all threads of the process. */
function timed(thing) {
    const processor = process.cpuUsage();
    const start = process.hrtime.bigint();
    const result = thing();
    const wall = Number(process.hrtime.bigint() - start) * 1e-9;
    const spent = process.cpuUsage(processor);
    return { result, wall, cpu: (spent.user + spent.system) * 1e-6 };
}

function compile(job) {
    const bytes = readFileSync(job.file);
    const { wall, cpu } = timed(() => new WebAssembly.Module(bytes));
    console.log(JSON.stringify({ bytes: bytes.length, seconds: wall, cpu_seconds: cpu }));
    return 0;
}

async function run(job) {
    const { WASI } = await import('node:wasi');
    const bytes = readFileSync(job.file);
    const compiled = timed(() => new WebAssembly.Module(bytes));
    const wasi = new WASI({
        version: 'preview1',
        args: [job.file, ...job.args],
        env: job.env,
        preopens: job.preopens,
        returnOnExit: true,
    });
    const instance = new WebAssembly.Instance(compiled.result, wasi.getImportObject());
    const ran = timed(() => {
        try {
            return wasi.start(instance);
        } catch (error) {
            writeSync(2, `trap: ${error}\n`);
            return 134;
        }
    });
    if (job.stats) {
        const stats = {
            compile_seconds: compiled.wall,
            compile_cpu_seconds: compiled.cpu,
            run_seconds: ran.wall,
            run_cpu_seconds: ran.cpu,
        };
        writeSync(2, `${JSON.stringify(stats)}\n`);
    }
    return ran.result;
}

const [verb, ...rest] = process.argv.slice(2);
const job = parse(rest);
process.exitCode = await (verb === 'compile' ? compile(job) : run(job));
