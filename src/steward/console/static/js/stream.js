// The one EventSource: reconnects when other parts or another zone are wanted, and when the server was away.
const LONGEST_WAIT_MS = 30_000, NOTHING = {html: {}, waiting: null, now: null};

export class Stream {
  #tell; #source = null; #key = ""; #waits = 0; #timer = 0;
  latest = NOTHING;
  state = "lost";

  constructor(tell) { this.#tell = tell; }

  // Listens to these parts; what is listened to already goes on.
  want(path, show, zone) {
    if (!show.length) return this.close();
    const url = `${path}?show=${show.map(encodeURIComponent).join(",")}`, key = `${zone} ${url}`;
    if (this.#source && key === this.#key) return;
    this.#key = key;
    this.latest = NOTHING;
    this.#open(url);
  }

  close() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open(url) {
    this.close();
    const source = this.#source = new EventSource(url);
    source.onmessage = event => {
      const news = JSON.parse(event.data);
      this.latest = {...news, html: {...this.latest.html, ...news.html}};
      this.#tell({news});
    };
    source.onopen = () => { this.#waits = 0; this.#is("live"); };
    source.onerror = () => {
      this.#is("lost");
      // A browser tries again by itself, but not after an answer that is no stream.
      if (source.readyState === EventSource.CLOSED)
        this.#timer = setTimeout(() => this.#open(url), Math.min(LONGEST_WAIT_MS, 2_000 * 2 ** this.#waits++));
    };
  }

  #is(state) {
    this.state = state;
    this.#tell({state});
  }
}
