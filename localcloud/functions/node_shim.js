'use strict';
// Custom resources of CDK answer CloudFormation with https.request({hostname, path}), without a port, and AWS's
// cfn-response with port 443: neither can reach a server on a port of its own. Requests to the host that the
// local cloud names in ResponseURL, and only these, go to its answering server instead.

const http = require('http');
const https = require('https');

const ANSWERING_HOST = 'cloudformation-custom-resource-response.localcloud';

/** Send https requests for the answering host to `address` ("host:port"). */
exports.redirectAnswers = function redirectAnswers(address) {
  const [hostname, port] = address.split(':');
  const realRequest = https.request;
  https.request = function request(...args) {
    const target = optionsOf(args);
    if (target.hostname !== ANSWERING_HOST) return realRequest.apply(this, args);
    const redirected = { ...target, protocol: 'http:', hostname, host: hostname, port, agent: undefined };
    return http.request(redirected, args.find((argument) => typeof argument === 'function'));
  };
  https.get = function get(...args) {
    const request = https.request(...args);
    request.end();
    return request;
  };
  const realFetch = globalThis.fetch;
  globalThis.fetch = function fetch(resource, options) {
    const url = String(resource.url || resource);
    const prefix = `https://${ANSWERING_HOST}/`;
    if (!url.startsWith(prefix)) return realFetch(resource, options);
    return realFetch(`http://${address}/${url.slice(prefix.length)}`, options);
  };
};

/** The options of https.request, which takes (url, options?) or (options). */
function optionsOf([first, second]) {
  if (typeof first !== 'string' && !(first instanceof URL)) {
    return { ...first, hostname: first.hostname || first.host };
  }
  const url = new URL(first);
  const options = typeof second === 'object' ? second : {};
  return { hostname: url.hostname, path: url.pathname + url.search, ...options };
}
