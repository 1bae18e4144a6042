// The first page: says whether the local program is there before anybody tries.

import { agentFor, openSession, show } from "/static/common.js";

const message = document.getElementById("message");
openSession().then(({ agent }) => agentFor(agent, message)).catch((error) => show(message, error));
