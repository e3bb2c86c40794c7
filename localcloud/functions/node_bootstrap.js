'use strict';
// Runs inside a Node.js function's process: loads the handler once, then answers invocations in turn.
// Each message on the control socket is one line of JSON. Lines of output reach the log through the process's own
// standard output. Its errors have the shapes of Lambda's runtime.

const fs = require('fs');
const net = require('net');
const path = require('path');
const util = require('util');
const { pathToFileURL } = require('url');

const [controlFile, answersAt] = process.argv.slice(2);
require('./node_shim').redirectAnswers(answersAt);
process.argv.length = 1;

const control = new net.Socket({ fd: Number(controlFile) });
let invocation = null;

main();

async function main() {
  writeConsoleAsLambdaDoes();
  let handler;
  try {
    handler = await load(process.env._HANDLER);
  } catch (error) {
    send({ type: 'init_error', error: description(error) }, () => process.exit(1));
    return;
  }
  process.on('uncaughtException', (error) => fail(error, () => process.exit(1)));
  process.on('unhandledRejection', (reason) => {
    const error = named('Runtime.UnhandledPromiseRejection', String(reason), reason && reason.stack);
    fail(error, () => process.exit(1));
  });
  send({ type: 'ready' });
  receive((message) => invoke(handler, message));
}

async function load(name) {
  const match = /^(.*?)([^/]+)$/.exec(name);
  const [file, ...members] = match[2].split('.');
  if (members.length === 0) throw named('Runtime.MalformedHandlerName', 'Bad handler');
  const base = path.resolve(process.env.LAMBDA_TASK_ROOT, match[1], file);
  const found = ['', '.js', '.mjs', '.cjs'].map((ending) => base + ending).find(isFile);
  if (!found) throw named('Runtime.ImportModuleError', `Error: Cannot find module '${file}'`);
  const module = await loadModule(found);
  const handler = members.reduce((value, member) => value && value[member], module);
  if (typeof handler !== 'function') {
    throw named('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  }
  return handler;
}

async function loadModule(file) {
  try {
    return isModule(file) ? await import(pathToFileURL(file)) : require(file);
  } catch (error) {
    if (error instanceof SyntaxError) throw named('Runtime.UserCodeSyntaxError', `SyntaxError: ${error.message}`, error.stack);
    if (!['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(error.code)) throw error;
    throw named('Runtime.ImportModuleError', `Error: ${error.message}${advice(error.message)}`, error.stack);
  }
}

/** Lambda has every client of AWS's SDK built in; here it has to be installed. */
function advice(message) {
  const client = /@aws-sdk\/[a-z0-9-]+/.exec(message);
  return client
    ? `\n[localcloud] Lambda's Node.js runtime has ${client[0]} built in; here: npm install ${client[0]}` +
        ' beside the app, or set LOCALCLOUD_NODE_MODULES to a node_modules directory that has it, and start the cloud again'
    : '';
}

function isModule(file) {
  if (file.endsWith('.mjs')) return true;
  if (file.endsWith('.cjs')) return false;
  const description = path.join(process.env.LAMBDA_TASK_ROOT, 'package.json');
  return isFile(description) && JSON.parse(fs.readFileSync(description)).type === 'module';
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() || false;
}

/** Call `each` with every message; end the process when the server is gone. */
function receive(each) {
  let pending = [];
  control.on('data', (data) => {
    let start = 0;
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, start)) {
      each(JSON.parse(Buffer.concat([...pending, data.subarray(start, end)])));
      pending = [];
      start = end + 1;
    }
    if (start < data.length) pending.push(data.subarray(start));
  });
  control.on('close', () => process.exit(0));
  control.on('error', () => process.exit(0));
}

async function invoke(handler, message) {
  invocation = message;
  // With nothing else left to wait for, an invocation whose handler never answers is over, as on Lambda.
  control.unref();
  process.once('beforeExit', succeedWithNothing);
  try {
    succeed(await called(handler, message));
  } catch (error) {
    fail(error);
  }
}

/** The handler's result, of an async handler or of one that takes a callback. */
function called(handler, message) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => (error ? reject(error) : resolve(result));
    if (message.trace) process.env._X_AMZN_TRACE_ID = message.trace;
    const returned = handler(message.event, context(message, callback), callback);
    if (returned && typeof returned.then === 'function') returned.then(resolve, reject);
    else if (handler.length < 3 && returned !== undefined) resolve(returned);
  });
}

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html */
function context(message, callback) {
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: message.function_arn,
    memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: message.request_id,
    logGroupName: process.env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: process.env.AWS_LAMBDA_LOG_STREAM_NAME,
    getRemainingTimeInMillis: () => Math.max(0, message.deadline_ms - Date.now()),
    done: callback,
    succeed: (result) => callback(null, result),
    fail: (error) => callback(error),
  };
}

function succeed(result) {
  let payload;
  try {
    payload = JSON.stringify(result === undefined ? null : result);
  } catch (error) {
    fail(error);
    return;
  }
  end({ type: 'result', payload });
}

function succeedWithNothing() {
  succeed(null);
}

function fail(error, then) {
  const described = description(error);
  console.error('Invoke Error', JSON.stringify(described));
  end({ type: 'error', error: described }, then);
}

/** Answer the invocation, after its last line of output has left this process. */
function end(message, then) {
  if (invocation === null) {
    if (then) then(); // nobody waits: this came after the answer
    return;
  }
  const requestId = invocation.request_id;
  invocation = null;
  process.removeListener('beforeExit', succeedWithNothing);
  control.ref();
  process.stdout.write(`\0${requestId}\n`, () => {
    send({ ...message, request_id: requestId }, then);
  });
}

function send(message, then) {
  control.write(`${JSON.stringify(message)}\n`, then);
}

function named(name, message, stack) {
  const error = new Error(message);
  error.name = name;
  if (stack) error.stack = stack;
  return error;
}

/** An error as Invoke returns it. */
function description(error) {
  if (!(error instanceof Error) && !util.types.isNativeError(error)) {
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  }
  return { errorType: error.name, errorMessage: error.message, trace: (error.stack || '').split('\n') };
}

/** Time, request and level before each message; its line breaks as carriage returns, so that it stays one event. */
function writeConsoleAsLambdaDoes() {
  const levels = { log: 'INFO', info: 'INFO', debug: 'DEBUG', warn: 'WARN', error: 'ERROR', trace: 'TRACE' };
  for (const [method, level] of Object.entries(levels)) {
    console[method] = (...values) => {
      const requestId = (invocation && invocation.request_id) || 'undefined';
      const text = util.format(...values).replace(/\n/g, '\r');
      process.stdout.write(`${new Date().toISOString()}\t${requestId}\t${level}\t${text}\n`);
    };
  }
}
