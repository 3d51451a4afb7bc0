// What every page does in the browser. Nothing here decides anything: all of it works without, only less comfortably.
import "./charts.js";
import "./clock.js";
import "./keys.js";
import "./live.js";
import "./menus.js";
import "./preferences.js";
import "./stops.js";
import "./swaps.js";
import "./terms.js";
import "./toast.js";
import "./tour.js";
import "./typed.js";
