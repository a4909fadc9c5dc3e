import java.nio.charset.StandardCharsets;
import java.util.Collection;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/**
 * Apache's own client on one side of a request. It talks to the test that started it line by line.
 *
 * <pre>
 * RequestReply request NAME_SERVER TOPIC COUNT LENGTH   asks COUNT times; prints each reply's length and first 20 characters
 * RequestReply reply NAME_SERVER TOPIC COUNT PREFIX     prints "ready", then answers COUNT requests by PREFIX and their body
 * </pre>
 */
public class RequestReply {
    private static final long TIMEOUT = 15_000;

    public static void main(String[] args) throws Exception {
        String name = "java_" + System.currentTimeMillis();
        DefaultMQProducer producer = new DefaultMQProducer(name);
        producer.setNamesrvAddr(args[1]);
        producer.setVipChannelEnabled(false);
        producer.start();
        int count = Integer.parseInt(args[3]);
        if (args[0].equals("request")) {
            request(producer, args[2], count, Integer.parseInt(args[4]));
        } else {
            reply(producer, name, args[1], args[2], count, args[4]);
        }
        producer.shutdown();
        // Some of the client's threads outlive it.
        System.exit(0);
    }

    /** What is for the test: the client's logging writes to the same stream. */
    private static void tell(Object line) {
        System.out.println("> " + line);
    }

    private static void request(DefaultMQProducer producer, String topic, int count, int length) throws Exception {
        for (int number = 0; number < count; number++) {
            StringBuilder body = new StringBuilder("ask " + number + " ");
            while (body.length() < length) {
                body.append('x');
            }
            Message message = new Message(topic, body.toString().getBytes(StandardCharsets.UTF_8));
            String reply = new String(producer.request(message, TIMEOUT).getBody(), StandardCharsets.UTF_8);
            tell(reply.length() + " " + reply.substring(0, Math.min(20, reply.length())));
        }
    }

    private static void reply(
        DefaultMQProducer producer, String group, String nameServer, String topic, int count, String prefix)
        throws Exception {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(group);
        consumer.setNamesrvAddr(nameServer);
        consumer.setVipChannelEnabled(false);
        consumer.start();
        Collection<MessageQueue> queues = consumer.fetchMessageQueues(topic);
        consumer.assign(queues);
        for (MessageQueue queue : queues) {
            consumer.seek(queue, 0);
        }
        tell("ready");
        while (count > 0) {
            for (MessageExt request : consumer.poll(1000)) {
                String body = prefix + new String(request.getBody(), StandardCharsets.UTF_8);
                Message reply = MessageUtil.createReplyMessage(request, body.getBytes(StandardCharsets.UTF_8));
                tell(producer.send(reply, TIMEOUT).getSendStatus());
                count--;
            }
        }
        consumer.shutdown();
    }
}
