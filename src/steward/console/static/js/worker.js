// Shares one stream among all tabs: browsers allow six connections to a site, so with one each the seventh tab hangs.
import {Stream} from "./stream.js";

const tabs = new Map();
const stream = new Stream(message => tabs.forEach((_, port) => port.postMessage(message)));

function rethink({path, zone}) {
  stream.want(path, [...new Set([...tabs.values()].flat())].sort(), zone);
}

onconnect = event => {
  const port = event.ports[0];
  const leave = () => {
    tabs.delete(port);
    if (!tabs.size) stream.close();
  };
  port.onclose = leave;
  port.onmessage = ({data}) => {
    if (data.bye) return leave();
    tabs.set(port, data.show);
    port.postMessage({state: stream.state});
    // What the others were told may be newer than this tab's page.
    if (stream.latest.now) port.postMessage({news: stream.latest});
    rethink(data);
  };
};
